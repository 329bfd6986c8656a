package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestPutTag(t *testing.T) {
	body := []byte(`{"schemaVersion":2}`)
	to := newFake(t, nil)
	if err := to.repository("to").PutTag(t.Context(), "v1", sum(body), "application/json", body); err != nil ||
		!bytes.Equal(to.has["v1"], body) {
		t.Errorf("%q, %v", to.has["v1"], err)
	}
	if err := to.repository("to").PutTag(t.Context(), "v1", sum(nil), "application/json", body); err != errDigest {
		t.Error(err)
	}
	for _, tag := range []string{"", "../v1", "a/b", "v1?x", sum(body), strings.Repeat("a", 129)} {
		if err := to.repository("to").PutTag(t.Context(), tag, sum(body), "application/json", body); err != ErrTag {
			t.Errorf("%q: %v", tag, err)
		}
	}
}

func TestDelete(t *testing.T) {
	var path string
	status, there := 0, http.StatusOK
	at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.WriteHeader(there)
			return true
		}
		path = r.Method + " " + r.URL.Path
		say(w, status, "UNSUPPORTED", "no")
		return true
	})
	for code, want := range map[int]string{202: "", 200: "", 404: "", 405: "at: DELETE: 405: UNSUPPORTED: no",
		500: "at: DELETE: 500: UNSUPPORTED: no"} {
		status, there = code, http.StatusOK
		if want == "" {
			there = http.StatusNotFound
		}
		for _, err := range []error{
			at.repository("at").DeleteManifest(t.Context(), "v1"),
			at.repository("at").DeleteBlob(t.Context(), sum(nil)),
		} {
			if got := fmt.Sprint(err); got != want && (err != nil || want != "") {
				t.Errorf("%d: %v", code, err)
			}
			if Unsupported(err) != (code == 405) || Missing(err) || err != nil && At(err) != "at" {
				t.Errorf("%d: %v", code, err)
			}
		}
	}
	if path != "DELETE /v2/team/app/blobs/"+sum(nil) {
		t.Error(path)
	}
	status, there = 202, 200
	if err := at.repository("at").DeleteBlob(t.Context(), sum(nil)); !errors.Is(err, errKept) {
		t.Errorf("it gives out what it says it has deleted: %v", err)
	}
	status, there = 202, 500
	if err := at.repository("at").DeleteBlob(t.Context(), sum(nil)); err != nil {
		t.Errorf("it does not say whether it is there: %v", err)
	}
	status, there = 405, 404
	if err := at.repository("at").DeleteManifest(t.Context(), "v1"); err != nil {
		t.Errorf("refused, but it is not there: %v", err)
	}
	path = ""
	if at.repository("at").DeleteManifest(t.Context(), "../x") == nil ||
		at.repository("at").DeleteBlob(t.Context(), "v1") == nil || path != "" {
		t.Errorf("asked for %s", path)
	}
}

func TestReferrers(t *testing.T) {
	answer, status := "", 200
	at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(status)
		w.Write([]byte(answer))
		return true
	})
	list := strings.Repeat(`{"digest":"`+sum(nil)+`"},`, 2*maxReferrers)
	for _, c := range []struct {
		status int
		answer string
		want   int
		failed bool
	}{
		{200, `{"manifests":[{"digest":"` + sum(nil) + `"},{"digest":"../x"}]}`, 1, false},
		{200, `{"manifests":[` + list[:len(list)-1] + `]}`, maxReferrers, false},
		{200, `{}`, 0, false},
		{404, ``, 0, false},
		{200, `<html>`, 0, true},
		{500, ``, 0, true},
	} {
		status, answer = c.status, c.answer
		got, err := at.repository("at").Referrers(t.Context(), sum(nil))
		if len(got) != c.want || (err != nil) != c.failed {
			t.Errorf("%d: %d, %v", c.status, len(got), err)
		}
	}
}

// TestRefusedDeletion: a refusal says nothing of what is there; who refuses to say that as well hides it.
func TestRefusedDeletion(t *testing.T) {
	for _, c := range []struct {
		deleted, there int
		well, hidden   bool
	}{
		{403, 404, true, false}, {403, 200, false, false}, {403, 500, false, false}, {403, 401, false, true},
		{401, 403, false, true},
		{405, 403, false, false}, {404, 403, true, false}, {202, 403, true, false},
	} {
		at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				w.WriteHeader(c.deleted)
			} else {
				w.WriteHeader(c.there)
			}
			return true
		})
		err := at.repository("at").DeleteManifest(t.Context(), "v1")
		if (err == nil) != c.well || Hidden(err) != c.hidden || c.hidden && !Refused(err) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestTagged(t *testing.T) {
	body := []byte(`{"schemaVersion":2}`)
	status, digest := 200, ""
	at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/team/app/manifests/v1" {
			t.Error(r.URL.Path)
		}
		w.Header().Set("Content-Type", "application/json")
		if digest != "" {
			w.Header().Set("Docker-Content-Digest", digest)
		}
		w.WriteHeader(status)
		w.Write(body)
		return true
	})
	for _, c := range []struct {
		status int
		digest string
		want   string // "": an error
	}{{200, "", sum(body)}, {200, sum(body), sum(body)}, {200, sum(nil), ""}, {200, "md5:00", sum(body)},
		{404, "", ""}} {
		status, digest = c.status, c.digest
		got, mediaType, content, err := loggedIn(at.replica("at")).Repository("team/app").Tagged(t.Context(), "v1")
		if got != c.want || (err == nil) != (c.want != "") ||
			err == nil && (mediaType != "application/json" || !bytes.Equal(content, body)) ||
			Missing(err) != (c.status == 404) {
			t.Errorf("%+v: %s %s %s %v", c, got, mediaType, content, err)
		}
	}
	if _, _, _, err := at.replica("at").Repository("team/app").Tagged(t.Context(), "../v1"); err != ErrTag {
		t.Error(err)
	}
}

// loggedIn has the transport show what alice has.
func loggedIn(r Replica) Replica {
	r.Transport = login{r.Transport}
	return r
}

type login struct{ base http.RoundTripper }

func (l login) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", alice.Get("Authorization"))
	return l.base.RoundTrip(r)
}

// TestCopyIntoAnother: the names of the repositories may differ, and the bytes of the source are counted.
func TestCopyIntoAnother(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 10_000)
	at := func(name, repository string) (*fake, Repository) {
		f := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			rest, ok := strings.CutPrefix(r.URL.Path, "/v2/"+repository+"/")
			if !ok {
				t.Errorf("%s was asked for %s", name, r.URL.Path)
			}
			r.URL.Path = "/v2/team/app/" + rest // the fake's own
			return false
		})
		return f, loggedIn(f.replica(name)).Repository(repository)
	}
	source, from := at("from", "library/old")
	source.has[sum(content)] = content
	target, to := at("to", "team/app")
	counted := 0
	from.Replica = from.Replica.Counted(func(n int) { counted += n })
	err := CopyBlob(t.Context(), from, to, sum(content), 0)
	if err != nil || !bytes.Equal(target.has[sum(content)], content) {
		t.Error(err)
	}
	if counted != len(content) {
		t.Errorf("%d bytes", counted)
	}
}
