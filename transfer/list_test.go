package transfer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// paging lists as distribution does: n names behind last, and a link to more.
func paging(all []string, field string, usual int) func(*fake, http.ResponseWriter, *http.Request) bool {
	return func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		n := usual
		if given := r.URL.Query().Get("n"); given != "" {
			n, _ = strconv.Atoi(given)
		}
		start, _ := slices.BinarySearch(all, r.URL.Query().Get("last")+"\x00")
		end := min(start+n, len(all))
		if end < len(all) {
			next := *r.URL
			next.RawQuery = fmt.Sprintf("last=%s&n=%d", all[end-1], n)
			w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, next.String()))
		}
		_ = json.NewEncoder(w).Encode(map[string][]string{field: all[start:end]})
		return true
	}
}

func numbered(format string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf(format, i))
	}
	return names
}

func TestCatalog(t *testing.T) {
	all := numbered("team/app-%03d", 25)
	at := newFake(t, paging(all, "repositories", 10))
	names, complete, err := loggedIn(at.replica("at")).Catalog(t.Context(), 100)
	if err != nil || !complete || !slices.Equal(names, all) || at.nth("GET") != 3 {
		t.Errorf("%v %v %v, %d requests", names, complete, err, at.nth("GET"))
	}
	if names, complete, err := loggedIn(at.replica("at")).Catalog(t.Context(), 25); err != nil || !complete ||
		len(names) != 25 {
		t.Errorf("%v %v %v", names, complete, err)
	}
	if names, complete, err := loggedIn(at.replica("at")).Catalog(t.Context(), 24); err != nil || complete ||
		len(names) != 24 {
		t.Errorf("%v %v %v", names, complete, err)
	}
	bad := []string{"", "/", "../x", "a//b", "a/../b", "A", "a b", "a?b", "a%2e", strings.Repeat("a", 256), "ok"}
	odd := loggedIn(newFake(t, paging(bad, "repositories", 100)).replica("at"))
	if names, _, err := odd.Catalog(t.Context(), 100); err != nil || !slices.Equal(names, []string{"ok"}) {
		t.Errorf("%v %v", names, err)
	}
}

func TestTags(t *testing.T) {
	all := numbered("v%03d", 25)
	at := newFake(t, paging(all, "tags", 10))
	if tags, complete, err := at.repository("at").Tags(t.Context(), 100); err != nil || !complete ||
		!slices.Equal(tags, all) {
		t.Errorf("%v %v %v", tags, complete, err)
	}
	none := newFake(t, func(_ *fake, w http.ResponseWriter, _ *http.Request) bool {
		say(w, 404, "NAME_UNKNOWN", "")
		return true
	})
	if tags, complete, err := none.repository("at").Tags(t.Context(), 100); err != nil || !complete || len(tags) != 0 {
		t.Errorf("%v %v %v", tags, complete, err)
	}
	if _, _, err := loggedIn(none.replica("at")).Catalog(t.Context(), 100); !Missing(err) {
		t.Errorf("no catalog is not an empty one: %v", err)
	}
}

func TestListsThatAreWrong(t *testing.T) {
	turn := 0
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"the same page again": func(w http.ResponseWriter, r *http.Request) { link(w, r.URL.String()) },
		"without end": func(w http.ResponseWriter, _ *http.Request) {
			turn++
			link(w, fmt.Sprintf("/v2/team/app/tags/list?n=%d", turn))
		},
		"elsewhere": func(w http.ResponseWriter, _ *http.Request) {
			link(w, "http://elsewhere.test/v2/team/app/tags/list?n=1")
		},
		"another path": func(w http.ResponseWriter, _ *http.Request) { link(w, "/v2/other/tags/list?n=1") },
		"no JSON":      func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"tags":["` + strings.Repeat("a", maxListBody) + `"]}`))
		},
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true })
		if tags, _, err := at.repository("at").Tags(t.Context(), 1<<20); err == nil || At(err) != "at" {
			t.Errorf("%s: %d tags, %v", name, len(tags), err)
		}
	}
}

func link(w http.ResponseWriter, to string) {
	w.Header().Set("Link", "<"+to+`>; rel="next"`)
	w.Write([]byte(`{"tags":[]}`))
}

func TestLook(t *testing.T) {
	body := []byte(`{"schemaVersion":2}`)
	silent := newFake(t, nil)
	silent.has["v1"], silent.has[sum(body)] = body, body
	telling := newFake(t, func(f *fake, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Docker-Content-Digest", sum(body))
		return false
	})
	telling.has["v1"] = body
	want := Content{sum(body), "application/vnd.oci.image.manifest.v1+json", int64(len(body))}
	look := func(f *fake, reference string) (Content, bool, error) {
		return f.repository("at").Look(t.Context(), reference)
	}
	for name, f := range map[string]*fake{"it says the digest": telling, "it does not": silent} {
		if c, there, err := look(f, "v1"); err != nil || !there || c != want {
			t.Errorf("%s: %v %v %v", name, c, there, err)
		}
		if _, there, err := look(f, "v2"); err != nil || there {
			t.Errorf("%s: %v %v", name, there, err)
		}
	}
	if c, there, err := look(silent, sum(body)); err != nil || !there || c != want {
		t.Errorf("%v %v %v", c, there, err)
	}
	if silent.nth("GET") != 1 || telling.nth("GET") != 0 {
		t.Errorf("%d and %d manifests read", silent.nth("GET"), telling.nth("GET"))
	}
	failing := newFake(t, func(_ *fake, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	if _, _, err := look(failing, "v1"); err == nil || Missing(err) {
		t.Error(err)
	}
	if _, _, err := look(silent, "../x"); err == nil {
		t.Error("a path was asked for")
	}
}
