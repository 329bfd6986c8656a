package transfer

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/oci"
)

func TestRedirects(t *testing.T) {
	blob := content(1000)
	var leaked string
	storage := newFake(t, nil)
	storage.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked += r.Header.Get("Authorization")
		w.Write(blob)
	})
	hops := 0
	from := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request) bool {
		hops++
		to := storage.URL + "/bucket?signature=hidden"
		switch r.URL.Query().Get("to") {
		case "":
			to = "http://registry.test" + r.URL.Path + "?to=there" // itself, by the name it was asked by
		case "loop":
			to = r.URL.Path + "?to=loop"
		}
		if r.Host != "registry.test" {
			t.Errorf("asked as %s", r.Host)
		}
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		return true
	})
	to := newFake(t, nil)
	source := from.repository("from")
	source.Replica.Host = "registry.test"
	if err := quick().copyBlob(t.Context(), source, to.repository("to"), sum(blob), 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(to.has[sum(blob)], blob) || hops != 2 {
		t.Errorf("%d bytes, %d hops", len(to.has[sum(blob)]), hops)
	}
	if leaked != "" {
		t.Errorf("storage was told %q", leaked)
	}
	hops = 0
	from.fault = func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		hops++
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
		return true
	}
	if ok, err := source.HasBlob(t.Context(), sum(blob)); ok || err == nil || hops != 6 {
		t.Errorf("a loop: %v, %v, %d hops", ok, err, hops)
	}
}

func TestHas(t *testing.T) {
	f := newFake(t, nil)
	f.has[sum(nil)] = nil
	for _, has := range []func() (bool, error){
		func() (bool, error) { return f.repository("a").HasBlob(t.Context(), sum(nil)) },
		func() (bool, error) { return f.repository("a").HasManifest(t.Context(), sum(nil)) },
	} {
		if ok, err := has(); !ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
	}
	if ok, err := f.repository("a").HasBlob(t.Context(), sum([]byte("x"))); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if ok, err := f.replica("a").Repository("team/app").HasBlob(t.Context(), sum(nil)); ok || err == nil ||
		err.Error() != "a: HEAD: 401" {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestManifest(t *testing.T) {
	body := []byte(`{"schemaVersion":2}`)
	from, to := newFake(t, nil), newFake(t, nil)
	from.has[sum(body)] = body
	mediaType, got, err := from.repository("from").Manifest(t.Context(), sum(body))
	if err != nil || mediaType != "application/vnd.oci.image.manifest.v1+json" || !bytes.Equal(got, body) {
		t.Errorf("%q %q %v", mediaType, got, err)
	}
	if err := to.repository("to").PutManifest(t.Context(), sum(body), mediaType, got); err != nil ||
		!bytes.Equal(to.has[sum(body)], body) {
		t.Errorf("%q %v", to.has[sum(body)], err)
	}
	if err := to.repository("to").PutManifest(t.Context(), sum(nil), mediaType, got); err != errDigest {
		t.Error(err)
	}
	large := make([]byte, DefaultMaxManifest+1)
	from.has[sum(nil)], from.has[sum(large)] = body, large
	for digest, want := range map[string]error{sum(nil): errDigest, sum(large): oci.ErrTooLarge} {
		_, got, err := from.repository("from").Manifest(t.Context(), digest)
		if e, ok := err.(*Error); !ok || e.Err != want || got != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

func TestExcerpt(t *testing.T) {
	const long = "hunter2hunter2"
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("gateway:"+long))
	for _, c := range []struct{ authorization, text, want string }{
		{"", "no\r\n\xffrights", "no  rights"},
		{basic, "no rights for " + basic, "***"},
		{basic, "no rights for " + strings.TrimPrefix(basic, "Basic "), "***"},
		{basic, "no rights for " + url.QueryEscape(basic), "***"},
		{basic, "no rights for " + basic[:20], "***"},
		{basic, "no rights for gateway:" + long, "***"},
		{basic, "no rights for gateway", "no rights for gateway"},
		{"basic " + base64.StdEncoding.EncodeToString([]byte("gateway:abc")), "wrong: abc", "***"},
		{"Bearer ey.abcdefghijkl", "cannot read abcdefghijkl", "***"},
		{"Bearer ey.abcdefghijkl", "no bearer of it", "no bearer of it"},
		{"abcdefghijkl", "cannot read abcdefghijkl", "***"},
		{"Basic ", "no rights", "no rights"},
		{"Basic Og==", "no rights", "no rights"},
	} {
		if got := excerpt(c.text, c.authorization, ""); got != c.want {
			t.Errorf("%q, shown %q: %q", c.text, c.authorization, got)
		}
		if got := excerpt(c.text, "", c.authorization); got != c.want {
			t.Errorf("%q, shown %q beside another: %q", c.text, c.authorization, got)
		}
	}
	if got := excerpt(strings.Repeat("é", 200)); len(got) > maxErrorText || got == "" {
		t.Errorf("%q", got)
	}
}

// A transport may show a login that the caller knows nothing of.
func TestLoginOfTheTransport(t *testing.T) {
	from := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		say(w, http.StatusForbidden, "DENIED", "no rights for "+r.Header.Get("Authorization"))
		return true
	})
	_, _, err := loggedIn(from.replica("from")).Repository("team/app").Manifest(t.Context(), sum(nil))
	if err == nil || err.Error() != "from: GET: 403: DENIED: ***" {
		t.Error(err)
	}
}

func TestReceived(t *testing.T) {
	for text, want := range map[string]int64{
		"0-9": 10, "0-1": 2, "0-0": -1, "": -1, "0--1": -1, "bytes=0-9": 10, "5-9": -1, "0-9999999999999999999": -1,
	} {
		if got := received(text); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func FuzzRanges(f *testing.F) {
	for _, s := range []string{"bytes 5-9/10", "bytes 5-9/*", "bytes */10", "0-9", "", "bytes -/-",
		"bytes 0-0/9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if start, size := contentRange(s); start < -1 || size < -1 {
			t.Errorf("%d of %d", start, size)
		}
		if n := received(s); n < -1 || n == 0 {
			t.Errorf("%d", n)
		}
	})
}

func FuzzLocation(f *testing.F) {
	for _, s := range []string{"/v2/a?x=1", "http://registry.test:80/x", "//other/x", "?y", "mailto:a",
		"http://a@other", "%zz", ""} {
		f.Add(s)
	}
	p := Replica{URL: &url.URL{Scheme: "http", Host: "10.0.0.1:5000"}, Host: "registry.test"}.Repository("app").peer()
	f.Fuzz(func(t *testing.T, s string) {
		u, foreign, err := p.locate(p.at("blobs/uploads/"), s, oci.SameHost)
		if err == nil && !foreign && (u.Host != p.URL.Host || u.Scheme != "http") {
			t.Errorf("%s is no place of the replica", u)
		}
	})
}
