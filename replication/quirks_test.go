package replication

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestMediaTypeOfACopy: a copy bears the type that was pushed, or the manifest's own, whatever the source calls it.
func TestMediaTypeOfACopy(t *testing.T) {
	const docker = "application/vnd.docker.distribution.manifest.v2+json"
	silent := []byte(strings.Replace(string(imageOf("config", "layer")), `"mediaType":"`+typeImage+`",`, "", 1))
	silent = []byte(strings.Replace(string(silent), `,"mediaType":"`+typeImage+`"`, "", 1))
	for _, c := range []struct {
		name             string
		body             []byte
		recorded, served string
		want             string
	}{
		{"a charset", imageOf("config", "layer"), typeImage, typeImage + "; charset=utf-8", typeImage},
		{"generic", imageOf("config", "layer"), "", "application/json", typeImage},
		{"recorded", silent, docker, "application/json", docker},
		{"recorded with parameters", silent, docker + "; charset=utf-8", typeImage, docker},
		{"nobody knows", silent, "application/json", "text/plain", typeImage},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newRegion(t)
			a, b := x.at["a"], x.at["b"]
			a.blob([]byte("config"))
			a.blob([]byte("layer"))
			a.put("/v2/app/manifests/v1", docker, c.body)
			a.breaks(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				well := httptest.NewRecorder()
				a.registry.ServeHTTP(well, r)
				w.Header().Set("Content-Type", c.served)
				w.WriteHeader(well.Code)
				_, _ = w.Write(well.Body.Bytes())
				return true
			})
			e := x.push("v1", sum(c.body), "a")
			e.MediaType, e.Name = c.recorded, e.Digest
			x.entries[e.Reference] = e
			x.run()
			x.settled("b")
			for _, reference := range []string{"v1", sum(c.body)} {
				w := httptest.NewRecorder()
				b.registry.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/app/manifests/"+reference, nil))
				if got := w.Header().Get("Content-Type"); got != c.want || w.Code != http.StatusOK {
					t.Errorf("%s: %d, %s", reference, w.Code, got)
				}
			}
		})
	}
}

// TestRepositoryThatIsNotThereYet: a target that says 401 or 403 of it is written to, and what it says then counts.
func TestRepositoryThatIsNotThereYet(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		x := newRegion(t)
		b := x.at["b"]
		b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet && r.Method != http.MethodHead || b.requests("POST") > 0 {
				return false
			}
			w.WriteHeader(status)
			return true
		})
		x.push("v1", x.at["a"].image("v1", "layer"), "a")
		x.run()
		x.settled("b")
		if !b.complete("v1") {
			t.Errorf("%d: it is not complete", status)
		}
	}
}
