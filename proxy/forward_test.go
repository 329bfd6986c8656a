package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// seen is what a replica gets, as text.
func seen(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	var fields []string
	for name, values := range r.Header {
		if !differs(name) {
			fields = append(fields, fmt.Sprintf("%s: %q", name, values))
		}
	}
	slices.Sort(fields)
	return fmt.Sprintf("%s %s %s %d %v\n%s\n%s %v", r.Method, r.RequestURI, r.Host, r.ContentLength, r.TransferEncoding,
		strings.Join(fields, "\n"), body, err)
}

// differs: a field that only this proxy writes, or writes in another way.
func differs(name string) bool {
	return slices.Contains([]string{"Via", "Date", replicaHeader, digestHeader}, name)
}

// TestForwardsAsReverseProxy: what a replica gets, and what a client gets of its answer, is what httputil.ReverseProxy
// would have passed, but for what this proxy is there for.
func TestForwardsAsReverseProxy(t *testing.T) {
	requests := []struct {
		method, path, body string
		header             http.Header
	}{
		{"GET", "/v2/", "", nil},
		{"GET", "/v2/", "", http.Header{"Accept": {"a/b", "c/d"}, "User-Agent": {"docker/29"}, "Range": {"bytes=0-3"}}},
		{"GET", "/v2/app/tags/list?n=3&last=a%2Fb", "", http.Header{"User-Agent": {""}}},
		{"HEAD", "/v2/app/blobs/" + digest, "", http.Header{"Authorization": {"Bearer x"}}},
		{"GET", "/v2/", "", http.Header{"Connection": {"x-secret, Keep-Alive"}, "X-Secret": {"1"}, "Keep-Alive": {"5"}}},
		{"GET", "/v2/", "", http.Header{"Te": {"trailers, deflate"}, "Proxy-Authorization": {"Basic x"}}},
		{"GET", "/v2/", "", http.Header{"X-Forwarded-For": {"192.0.2.1"}, "Forwarded": {"for=192.0.2.1"}}},
		{"POST", "/v2/app/blobs/uploads/", "", nil},
		{"PATCH", uploads + "1?fairlead-replica=west&_state=a%3D", "hello", http.Header{"Content-Range": {"0-4"}}},
		{"PUT", uploads + "1?fairlead-replica=west&digest=" + digest, "", nil},
		{"PUT", "/v2/app/manifests/v1", "{}", http.Header{"Content-Type": {"application/json"}}},
	}
	answers := map[string]func(http.ResponseWriter){
		"plain":   func(w http.ResponseWriter) { _, _ = io.WriteString(w, "hello") },
		"nothing": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) },
		"fields": func(w http.ResponseWriter) {
			w.Header()["X-Many"] = []string{"a", "b"}
			w.Header()["Connection"] = []string{"X-Hop"}
			w.Header()["X-Hop"], w.Header()["Content-Type"] = []string{"1"}, nil
			w.WriteHeader(http.StatusBadRequest)
		},
		"trailer": func(w http.ResponseWriter) {
			w.Header().Set("Trailer", "X-After")
			_, _ = io.WriteString(w, "hello")
			w.Header().Set("X-After", "1")
		},
		"a trailer that was not announced": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "hello")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set(http.TrailerPrefix+"X-After", "1")
		},
	}
	for name, answer := range answers {
		got := make(chan string, 99)
		registry := func(w http.ResponseWriter, r *http.Request) {
			got <- seen(r)
			answer(w)
		}
		g := newRig(t, map[string]http.HandlerFunc{"west": registry}, nil)
		to := g.proxy.Upstreams.Endpoint("west").URL
		oracle := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
			_, query := cutOwner(r.In.URL.RawQuery)
			r.Out.URL.RawQuery = query
			r.SetXForwarded()
		}})
		defer oracle.Close()
		for _, q := range requests {
			ask := func(base string) (status int, header, trailer http.Header, body string) {
				var content io.Reader
				if q.body != "" {
					content = strings.NewReader(q.body)
				}
				out, _ := http.NewRequest(q.method, base+q.path, content)
				out.Header, out.Host = q.header.Clone(), "registry.contoso.com"
				if out.Header == nil {
					out.Header = http.Header{}
				}
				response, err := http.DefaultTransport.RoundTrip(out)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				text, _ := io.ReadAll(response.Body)
				for name := range response.Header {
					if differs(name) {
						response.Header.Del(name)
					}
				}
				return response.StatusCode, response.Header, response.Trailer, string(text)
			}
			s1, h1, t1, b1 := ask(g.gateway.URL)
			r1 := await(t, got, "a request")
			s2, h2, t2, b2 := ask(oracle.URL)
			r2 := await(t, got, "a request")
			if r1 != r2 {
				t.Errorf("%s: the replica got\n%s\n\nand through the oracle\n%s", name, r1, r2)
			}
			if s1 != s2 || !reflect.DeepEqual(h1, h2) || !reflect.DeepEqual(t1, t2) || b1 != b2 {
				t.Errorf("%s, %s %s: the client got\n%d %v %v %q\nand through the oracle\n%d %v %v %q", name, q.method, q.path,
					s1, h1, t1, b1, s2, h2, t2, b2)
			}
		}
	}
}
