package transfer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTryUpload: each row has what a registry answers to POST, PATCH and DELETE.
func TestTryUpload(t *testing.T) {
	at := func(step int) string { // where the upload goes on after so many answers
		return strings.TrimSuffix(fmt.Sprint("/v2/fairlead-probe/blobs/uploads/", step), "0")
	}
	for name, c := range map[string]struct {
		post, patch, remove int
		status              int
		stays               bool
		asked               string
	}{
		"it writes":              {202, 202, 204, 202, false, "POST PATCH:3 DELETE"},
		"201 for 202":            {201, 204, 200, 204, false, "POST PATCH:3 DELETE"},
		"full at once":           {500, 0, 0, 500, false, "POST"},
		"full with content":      {202, 507, 204, 507, false, "POST PATCH:3 DELETE"},
		"what failed is gone":    {202, 500, 404, 500, false, "POST PATCH:3 DELETE"},
		"what failed stays":      {202, 500, 500, 500, true, "POST PATCH:3 DELETE"},
		"it cancels nothing":     {202, 202, 405, 202, true, "POST PATCH:3 DELETE"},
		"it knows no cancelling": {202, 202, 404, 202, true, "POST PATCH:3 DELETE"},
		"it lets nobody in":      {401, 0, 0, 401, false, "POST"},
		"it goes away":           {0, 0, 0, 0, false, "POST"},
		"it does not answer":     {-1, 0, 0, 504, false, "POST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				line := r.Method
				if len(body) > 0 {
					line += fmt.Sprint(":", len(body))
				}
				mu.Lock()
				asked = append(asked, line)
				upload := at(len(asked))
				mu.Unlock()
				code, want := c.post, at(0)
				switch r.Method {
				case http.MethodPatch:
					code, want = c.patch, at(1)
				case http.MethodDelete:
					if code, want = c.remove, at(1); success(c.patch) {
						want = at(2)
					}
				}
				if r.URL.Path != want {
					t.Errorf("%s %s, want %s", r.Method, r.URL, want)
				}
				switch code {
				case 0:
					panic(http.ErrAbortHandler)
				case -1:
					<-r.Context().Done()
					return
				}
				w.Header().Set("Location", upload)
				w.WriteHeader(code)
			}))
			defer server.Close()
			base, _ := url.Parse(server.URL)
			within := 10 * time.Second
			if c.post < 0 {
				within = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			replica := Replica{Name: "west", URL: base, Transport: &http.Transport{DisableKeepAlives: true}}
			got := replica.Repository("fairlead-probe").TryUpload(ctx, 3)
			mu.Lock()
			defer mu.Unlock()
			if got.Status != c.status || got.Stays != c.stays || strings.Join(asked, " ") != c.asked {
				t.Errorf("%+v after %q", got, asked)
			}
			if fails := c.status < 200 || c.status > 299 || c.stays; fails != (got.Err != nil) {
				t.Errorf("error %v", got.Err)
			}
		})
	}
}
