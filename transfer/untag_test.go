package transfer

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/fairlead-gateway/fairlead/oci"
)

// refuser is a real registry that refuses some deletions.
type refuser struct {
	http.Handler
	tags, digests int // status of a refused deletion; 0: it is done
	log           []string
}

func newRefuser(t *testing.T) (*refuser, Replica) {
	r := &refuser{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	u, _ := url.Parse(server.URL)
	return r, Replica{Name: "at", URL: u, Transport: server.Client().Transport}
}

func (r *refuser) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/") || q.Method == http.MethodDelete {
		r.log = append(r.log, q.Method+" "+q.URL.Path[strings.LastIndex(q.URL.Path, "/")+1:])
	}
	digest := strings.Contains(q.URL.Path, "/manifests/sha256:")
	switch tag := strings.Contains(q.URL.Path, "/manifests/") && !digest; {
	case q.Method != http.MethodDelete:
	case tag && r.tags != 0:
		say(w, r.tags, "DIGEST_INVALID", "provided digest did not match uploaded content")
		return
	case digest && r.digests != 0:
		say(w, r.digests, "UNSUPPORTED", "The operation is unsupported.")
		return
	case digest:
		// Real ones take away the tags of what is deleted.
		tags := httptest.NewRecorder()
		r.Handler.ServeHTTP(tags, httptest.NewRequest(http.MethodGet, "/v2/app/tags/list", nil))
		var list struct{ Tags []string }
		_ = json.Unmarshal(tags.Body.Bytes(), &list)
		for _, tag := range list.Tags {
			if r.digestOf(tag) == q.URL.Path[len("/v2/app/manifests/"):] {
				r.Handler.ServeHTTP(httptest.NewRecorder(),
					httptest.NewRequest(http.MethodDelete, "/v2/app/manifests/"+tag, nil))
			}
		}
	}
	r.Handler.ServeHTTP(w, q)
}

func (r *refuser) digestOf(reference string) string {
	w := httptest.NewRecorder()
	r.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/app/manifests/"+reference, nil))
	if w.Code != http.StatusOK {
		return ""
	}
	return oci.Digest(w.Body.Bytes())
}

func (r *refuser) put(reference, mediaType string, body []byte) {
	q := httptest.NewRequest(http.MethodPut, "/v2/app/manifests/"+reference, strings.NewReader(string(body)))
	q.Header.Set("Content-Type", mediaType)
	r.Handler.ServeHTTP(httptest.NewRecorder(), q)
}

const (
	typeOCI    = "application/vnd.oci.image.manifest.v1+json"
	typeDocker = "application/vnd.docker.distribution.manifest.v2+json"
)

// TestDeleteTag: a tag goes from registries that delete tags, and from those that delete by digest alone; what it named
// stays there, as do other tags. Nothing is left of what it took, and nothing is begun that cannot be ended.
func TestDeleteTag(t *testing.T) {
	image := []byte(`{"schemaVersion":2,"layers":[]}`)
	errMay := errors.New("it names something else")
	for _, c := range []struct {
		name          string
		mediaType     string
		tags, digests int
		may           error
		left          bool // of an earlier try: the tag names the stand-in
		want          string
		stays         bool
	}{
		{"deletes tags", typeOCI, 0, 0, errMay, false, "", false},
		{"takes it for a digest", typeOCI, 400, 0, nil, false, "", false},
		{"does not know tags", typeDocker, 405, 0, nil, false, "", false},
		{"knows no such digest", typeOCI, 404, 0, nil, false, "", false},
		{"names something else", typeOCI, 400, 0, errMay, false, errMay.Error(), true},
		{"deletes nothing", typeOCI, 405, 405, nil, false,
			"at: DELETE: 405: DIGEST_INVALID: provided digest did not match uploaded content", true},
		{"does not let us", typeOCI, 403, 0, nil, false,
			"at: DELETE: 403: DIGEST_INVALID: provided digest did not match uploaded content", true},
		{"an earlier try broke off", typeOCI, 400, 0, errMay, true, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, at := newRefuser(t)
			for _, reference := range []string{"v1", "v2", oci.Digest(image)} {
				r.put(reference, c.mediaType, image)
			}
			s := standInFor("v1", c.mediaType)
			if c.left {
				r.put("v1", s.mediaType, s.manifest)
			}
			r.tags, r.digests = c.tags, c.digests
			asked := ""
			err := at.Repository("app").DeleteTag(t.Context(), "v1",
				func(digest string) error { asked = digest; return c.may })
			if got := errText(err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := r.digestOf("v1"); got != map[bool]string{true: oci.Digest(image)}[c.stays] {
				t.Errorf("the tag names %q: %q", got, r.log)
			}
			if r.digestOf("v2") != oci.Digest(image) || r.digestOf(oci.Digest(image)) == "" ||
				!c.stays && r.digestOf(s.digest) != "" {
				t.Errorf("after %q: v2 is %q, the stand-in %q", r.log, r.digestOf("v2"), r.digestOf(s.digest))
			}
			if asked != "" && asked != oci.Digest(image) {
				t.Errorf("asked about %s", asked)
			}
		})
	}
	r, at := newRefuser(t)
	r.tags = 400
	if err := at.Repository("app").DeleteTag(t.Context(), "v1", nil); err != nil {
		t.Errorf("it is not there: %v", err)
	}
	if err := at.Repository("app").DeleteTag(t.Context(), "../v1", nil); err != ErrTag {
		t.Error(err)
	}
}

// TestDeleteTagThatIsPushedMeanwhile: until the tag is given to the stand-in somebody may push it, or delete it, and
// the deletion ends.
func TestDeleteTagThatIsPushedMeanwhile(t *testing.T) {
	image, later := []byte(`{"schemaVersion":2,"layers":[]}`),
		[]byte(`{"schemaVersion":2,"layers":[],"annotations":{}}`)
	errMay := errors.New("it was pushed again")
	for _, pushed := range []bool{true, false} {
		r, at := newRefuser(t)
		r.put("v1", typeOCI, image)
		r.tags = 405
		s, want := standInFor("v1", typeOCI), map[bool]string{true: oci.Digest(later)}[pushed]
		inner := r.Handler
		r.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			inner.ServeHTTP(w, q)
			if q.Method != http.MethodPut || !strings.HasSuffix(q.URL.Path, "/manifests/"+s.digest) {
				return
			}
			if pushed {
				r.put("v1", typeOCI, later)
			} else {
				inner.ServeHTTP(httptest.NewRecorder(),
					httptest.NewRequest(http.MethodDelete, "/v2/app/manifests/v1", nil))
			}
		})
		err := at.Repository("app").DeleteTag(t.Context(), "v1", func(digest string) error {
			if digest != oci.Digest(image) {
				return errMay
			}
			return nil
		})
		if r.digestOf("v1") != want || r.digestOf(s.digest) != "" || errors.Is(err, errMay) != pushed ||
			!pushed && err != nil {
			t.Errorf("pushed: %v, v1 names %q, the stand-in %q: %v, %q", pushed, r.digestOf("v1"), r.digestOf(s.digest),
				err, r.log)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestStandsForDeletion: what regctl puts under a tag to delete it is known, and so is ours; an image is not.
func TestStandsForDeletion(t *testing.T) {
	config := `{"created":"2026-11-29T00:00:00Z","architecture":"amd64","os":"linux",` +
		`"config":{"Labels":{"delete-date":"now","delete-tag":"v1"}},"rootfs":{"type":"layers","diff_ids":[]}}`
	ours := standInFor("v1", typeDocker)
	of := func(config, more string) string {
		return "{" + more + string(asJSON(map[string]any{
			"schemaVersion": 2, "config": descriptor{"application/vnd.oci.image.config.v1+json",
				oci.Digest([]byte(config)), len(config)}, "layers": []descriptor{{"", oci.Digest([]byte("{}")), 2}},
		}))[1:]
	}
	for _, c := range []struct {
		name, manifest, config, tag string
		want                        bool
	}{
		{"regctl's", of(config, ""), config, "v1", true},
		{"ours", string(ours.manifest), string(ours.config), "v1", true},
		{"of another tag", of(config, ""), config, "v2", false},
		{"of no tag", of(config, ""), config, "", false},
		{"an image", of(strings.ReplaceAll(config, "delete-tag", "deleted"), ""),
			strings.ReplaceAll(config, "delete-tag", "deleted"), "v1", false},
		{"a signature", of(config, `"subject":{"digest":"sha256:1"},`), config, "v1", false},
		{"its config is another", of(config, ""), config + " ", "v1", false},
		{"too large a config", of(config+strings.Repeat(" ", maxStandInConfig), ""),
			config + strings.Repeat(" ", maxStandInConfig), "v1", false},
		{"no manifest", "[]", config, "v1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
				_, _ = io.WriteString(w, c.config)
				return true
			})
			if got := at.repository("at").StandsForDeletion(t.Context(), c.tag, []byte(c.manifest)); got != c.want {
				t.Error(got)
			}
		})
	}
}
