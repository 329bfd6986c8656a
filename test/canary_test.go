package test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// places are where texts may come to be seen: logs, answers, what others are sent.
type places struct {
	mu sync.Mutex
	of map[string]*strings.Builder // Guarded by mu.
}

func (p *places) note(place, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[place] == nil {
		p.of[place] = &strings.Builder{}
	}
	p.of[place].WriteString(text + "\n")
}

// notes whatever a server is sent.
func (p *places) notes(place string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		r.Body = io.NopCloser(bytes.NewReader(body))
		fields, _ := httputil.DumpRequest(r, false)
		p.note(place, string(fields)+string(body))
		next(w, r)
	}
}

// canary is a secret, in all the forms that it is written in, and the places where it belongs.
type canary struct {
	forms   []string
	belongs []string
}

// canaries are all secrets of a test, by what they are.
type canaries map[string]canary

func (c canaries) add(what string, belongs ...string) (text string) {
	text = "CANARY" + rand.Text()
	c[what] = canary{[]string{text}, belongs}
	return text
}

// login is a password, and how Basic shows it.
func (c canaries) login(what string, belongs ...string) (basic string) {
	basic = base64.StdEncoding.EncodeToString([]byte("user:" + c.add(what, belongs...)))
	of := c[what]
	of.forms = append(of.forms, basic)
	c[what] = of
	return basic
}

// check finds each secret that came to where it does not belong, and each that never came to where it does: that one
// shows nothing.
func (c canaries) check(t *testing.T, p *places) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for what, secret := range c {
		for place, text := range p.of {
			for _, form := range secret.forms {
				at := strings.Index(text.String(), form)
				if at >= 0 && !slices.Contains(secret.belongs, place) {
					t.Errorf("%s is in %s: …%.300s", what, place, text.String()[max(0, at-200):])
				}
			}
		}
		for _, place := range secret.belongs {
			text := p.of[place]
			if text == nil || !slices.ContainsFunc(secret.forms, func(form string) bool {
				return strings.Contains(text.String(), form)
			}) {
				t.Errorf("%s never came to %s: that it is nowhere else shows nothing", what, place)
			}
		}
	}
}

// startNoted starts a server that answers with next, and notes what it is sent.
func startNoted(t *testing.T, p *places, ip, place string, next http.HandlerFunc) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", freeAddress(t, ip))
	must(t, err)
	server := &http.Server{Handler: p.notes(place, next), ReadHeaderTimeout: time.Minute, ErrorLog: silent}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// The places of TestCanaries beside those that the gateway writes to.
const (
	atWest, atEast = "what westus is sent", "what eastus is sent"
	atStore        = "what an object store is sent"
	atForeign      = "what a foreign host is sent"
	atTokens       = "what westus' token service is sent"
	atReceiver     = "what a webhook's receiver is sent"
	atClient       = "what the client is answered"
)

// canarySet is a gateway between replicas, clients and receivers that are full of secrets.
type canarySet struct {
	*testing.T
	places
	canaries
	g                 *gateway
	west, east, store string // addresses
	foreign           string
	client            http.Header
	token             string // in the query of the client's requests

	state, signature, location string // what replicas put into URLs
	cookie, malformed          string // and into fields
	issued, ownToken           string // tokens of theirs
}

// TestCanaries: no secret that a client, a replica or the file has comes to where it does not belong, whatever is done
// and goes wrong, with all that can be logged logged.
func TestCanaries(t *testing.T) {
	t.Parallel()
	s := &canarySet{T: t, places: places{of: map[string]*strings.Builder{}}, canaries: canaries{}}
	s.makeSecrets()
	s.start()
	s.pushAndPull()
	s.heal()
	s.fail()
	s.askForTokens()
	s.end()
	s.look()
	s.check(t, &s.places)
}

func (s *canarySet) makeSecrets() {
	s.client = http.Header{
		"Authorization":       {"Bearer " + s.add("a client's token", atWest, atEast)},
		"Cookie":              {"session=" + s.add("a client's cookie")},
		"Proxy-Authorization": {"Basic " + s.login("a client's login at a proxy")},
		"Traceparent":         {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}
	s.token = s.add("a token in a client's query", atWest, atEast)
	s.state = s.add("an upload's state", atClient, atWest)
	s.signature = s.add("a signature of a redirect", atClient, atStore)
	s.location = s.add("a signature in a Location that is refused")
	s.cookie = s.add("a replica's cookie")
	s.malformed = s.add("a field that cannot be read")
	s.issued = s.add("a token that a client was given", atClient)
	s.ownToken = s.add("a token that the gateway was given", atWest)
}

func (s *canarySet) start() {
	s.foreign = startNoted(s.T, &s.places, "127.0.0.9", atForeign, func(http.ResponseWriter, *http.Request) {})
	s.store = startNoted(s.T, &s.places, "127.0.0.8", atStore, func(w http.ResponseWriter, r *http.Request) {
		s.setCookie(w)
		response, err := plain.Get("http://" + s.east + r.URL.Path + "?inside")
		if err != nil {
			s.Error(err)
			return
		}
		defer response.Body.Close()
		_, _ = io.Copy(w, response.Body)
	})
	tokens := startNoted(s.T, &s.places, "127.0.0.7", atTokens, func(w http.ResponseWriter, _ *http.Request) {
		s.setCookie(w)
		_, _ = io.WriteString(w, `{"token":"`+s.ownToken+`"}`)
	})
	s.west = startQuirky(s.T, "127.0.0.1", s.quirk(atWest, `Bearer realm="http://`+tokens+`/token",service="west"`))
	s.east = startQuirky(s.T, "127.0.0.1", s.quirk(atEast, `Basic realm="east"`))
	receiver := startNoted(s.T, &s.places, "127.0.0.6", atReceiver, func(w http.ResponseWriter, r *http.Request) {
		s.setCookie(w)
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.RequestURI+" "+r.Header.Get("Authorization")) // as receivers for debugging do
	})
	hook := "  - {name: %s, uri: \"http://%s/%s\", actions: [push], headers: {Authorization: %q}, secret: %q}\n"
	folder := s.TempDir()
	s.g = startGateway(s.T, "gateway", "127.0.0.1", file{
		debug: true, accessLog: filepath.Join(folder, "access.log"), state: filepath.Join(folder, "state"),
		health: "{fronts: false}", paths: "[/service/token]", replication: copyAll, networks: splitNetworks,
		replicas: []replica{
			{name: "westus", place: "azure/westus", address: "203.0.113.1", upstream: "http://" + s.west, home: true,
				more: s.loginAt("westus", s.west, atTokens)},
			{name: "eastus", place: "azure/eastus", address: "203.0.113.2", upstream: "http://" + s.east,
				more: s.loginAt("eastus", s.east, atEast)},
			{name: "westeurope", place: "azure/westeurope", address: "203.0.113.3", // is down
				upstream: "http://" + freeAddress(s.T, "127.0.0.1"), more: s.loginAt("westeurope", "127.0.0.1:1")},
		},
		webhooks: "webhooks_private: true\nwebhooks:\n" +
			fmt.Sprintf(hook, "failing", receiver, "in?code="+s.add("a webhook's address", atReceiver),
				s.add("a webhook's header", atReceiver), s.add("a webhook's secret")) +
			fmt.Sprintf(hook, "unreachable", "127.0.0.1:1", s.add("another webhook's path"),
				s.add("another webhook's header"), s.add("another webhook's secret")),
	})
}

// loginAt is the key of a file with the gateway's own login at a replica.
func (s *canarySet) loginAt(name, host string, belongs ...string) (more string) {
	config := filepath.Join(s.TempDir(), "config.json")
	writeFile(s, config, fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host,
		s.login("the gateway's own login at "+name, belongs...)))
	return fmt.Sprintf(", credentials: %q", config)
}

func (s *canarySet) setCookie(w http.ResponseWriter) {
	w.Header().Add("Set-Cookie", "session="+s.cookie)
}

// quirk is a registry that wants a login, gives out its own secrets, and does wrong in repositories whose names say
// what.
func (s *canarySet) quirk(place, challenge string) quirk {
	return func(registry http.Handler) http.Handler {
		own := onAnswer(func(r *http.Request, status int, header http.Header) int {
			header.Add("Set-Cookie", "session="+s.cookie)
			if location := header.Get("Location"); strings.Contains(location, "/uploads/") && place == atWest {
				header.Set("Location", location+"?_state="+s.state)
			}
			return status
		})(registry)
		return s.notes(place, func(w http.ResponseWriter, r *http.Request) {
			blob := r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/sha256:")
			switch _, wrong, _ := strings.Cut(r.URL.Path, "/wrong/"); {
			case r.URL.RawQuery == "inside" || r.URL.Path == "/v2/":
				own.ServeHTTP(w, r)
			case r.URL.Path == "/service/token":
				s.setCookie(w)
				_, _ = io.WriteString(w, `{"token":"`+s.issued+`"}`)
			case r.Header.Get("Authorization") == "":
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(http.StatusUnauthorized)
			case wrong != "":
				s.setCookie(w)
				s.wrong(w, r, strings.Split(wrong, "/")[0])
			case blob && place == atEast:
				http.Redirect(w, r, "http://"+s.store+r.URL.Path+"?X-Amz-Signature="+s.signature,
					http.StatusTemporaryRedirect)
			default:
				own.ServeHTTP(w, r)
			}
		})
	}
}

func (s *canarySet) wrong(w http.ResponseWriter, r *http.Request, what string) {
	secret := "?sig=" + s.location
	to := map[string]string{
		"foreign": "http://" + s.foreign + r.URL.Path + secret, "userinfo": "http://user:" + s.location + "@" + s.foreign,
		"no-url": "http://[" + s.location, "outside": "/elsewhere/1" + secret,
		"redirect": "http://" + s.foreign + "/1" + secret,
	}[what]
	switch what {
	case "redirect":
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case "digest":
		w.Header().Set("Docker-Content-Digest", digestOf(nil))
		w.WriteHeader(http.StatusCreated)
	case "field", "status", "chunk":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			s.Error(err)
			return
		}
		defer conn.Close()
		text := map[string]string{
			"field":  "HTTP/1.1 200 OK\r\nSet-Cookie session=" + s.malformed + "\r\nContent-Length: 2\r\n\r\n{}",
			"status": s.malformed + " is no answer\r\n\r\n",
			"chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" + s.malformed + "\r\n",
		}[what]
		_, _ = io.WriteString(conn, text)
	default:
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusAccepted)
	}
}

// ask sends a client's request with all its secrets, and returns where the answer leads to.
func (s *canarySet) ask(method, path string, body []byte, want ...int) (location string) {
	s.Helper()
	base := s.g.url()
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	request, err := http.NewRequest(method, base+path+mark+"access_token="+s.token, bytes.NewReader(body))
	must(s, err)
	request.Header = s.client.Clone()
	if strings.Contains(path, "/manifests/") {
		request.Header.Set("Content-Type", typeManifest)
	}
	response, err := plain.Do(request)
	if err != nil {
		s.note(atClient, strings.ReplaceAll(err.Error(), s.token, "")) // it names the URL
		return ""
	}
	defer response.Body.Close()
	fields, _ := httputil.DumpResponse(response, true)
	s.note(atClient, string(fields))
	if len(want) > 0 && !slices.Contains(want, response.StatusCode) {
		s.Errorf("%s %s: %d, want %v\n%s", method, path, response.StatusCode, want, fields)
	}
	return response.Header.Get("Location")
}

func (s *canarySet) pushBlob(repository string, content []byte) descriptor {
	location := s.ask("POST", "/v2/"+repository+"/blobs/uploads/", nil, 202)
	location = s.ask("PATCH", location, content, 202)
	digest := digestOf(content)
	s.ask("PUT", location+"&digest="+digest, nil, 201)
	return descriptor{MediaType: "application/octet-stream", Digest: digest, Size: int64(len(content))}
}

func (s *canarySet) pushAndPull() {
	layer := s.pushBlob("app", []byte("a layer"))
	manifest := encode(s, document{SchemaVersion: 2, MediaType: typeManifest, Config: &layer, Layers: []descriptor{layer}})
	s.ask("PUT", "/v2/app/manifests/v1", manifest, 201)
	waitFor(s, startBound, "the image to be copied", func() error { // in the gateway's own name
		return s.direct("GET", "/v2/app/manifests/v1", nil, 200)
	})
	for _, path := range []string{"manifests/v1", "blobs/" + layer.Digest, "tags/list?n=5"} {
		s.ask("GET", "/v2/app/"+path, nil, 200)
		s.ask("HEAD", "/v2/app/"+path, nil)
	}
	s.ask("GET", "/v2/app/blobs/"+layer.Digest+"?ns=docker.io", nil, 200)
	s.ask("DELETE", "/v2/app/manifests/"+digestOf(manifest), nil, 202) // on all
	conn, err := net.Dial("tcp", s.g.listen)
	must(s, err)
	defer conn.Close()
	fmt.Fprintf(conn, "GET http://user:%s@%s/v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		s.add("a login in a request's URL"), hostname)
	answer, _ := io.ReadAll(conn)
	s.note(atClient, string(answer))
}

// heal has a layer at eastus that the manifest at westus needs, and one that nobody has.
func (s *canarySet) heal() {
	layer := descriptor{MediaType: "application/octet-stream", Digest: digestOf([]byte("healed")), Size: 6}
	must(s, s.direct("POST", "/v2/healed/blobs/uploads/?digest="+layer.Digest, []byte("healed"), 201))
	s.ask("GET", "/v2/healed/blobs/"+layer.Digest, nil, 307) // leads to the store
	s.pushBlob("healed", []byte("another layer"))
	whole := document{SchemaVersion: 2, MediaType: typeManifest, Config: &layer, Layers: []descriptor{layer}}
	s.ask("PUT", "/v2/healed/manifests/v1", encode(s, whole), 201)
	nowhere := descriptor{MediaType: "application/octet-stream", Digest: digestOf([]byte("nowhere")), Size: 7}
	whole.Layers = append(whole.Layers, nowhere)
	s.ask("PUT", "/v2/healed/manifests/v2", encode(s, whole))
	s.ask("PUT", "/v2/healed/manifests/v2", encode(s, whole))
}

// direct asks eastus around the gateway.
func (s *canarySet) direct(method, path string, body []byte, want int) error {
	request, err := http.NewRequest(method, "http://"+s.east+path, bytes.NewReader(body))
	must(s, err)
	request.Header.Set("Authorization", "Bearer x")
	response, err := plain.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != want {
		return fmt.Errorf("eastus: %s %s: %d, not %d", method, path, response.StatusCode, want)
	}
	return nil
}

// fail has replicas answer in all ways that are refused.
func (s *canarySet) fail() {
	for _, what := range []string{"foreign", "userinfo", "no-url", "outside", "redirect"} {
		s.ask("POST", "/v2/wrong/"+what+"/blobs/uploads/", nil, 502)
		s.ask("PATCH", "/v2/wrong/"+what+"/blobs/uploads/1?fairlead-replica=westus&_state="+s.state, []byte("part"))
	}
	for _, what := range []string{"field", "status", "chunk", "digest"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
			s.ask(method, "/v2/wrong/"+what+"/manifests/v1", []byte("{}"))
			s.ask(method, "/v2/wrong/"+what+"/tags/list", nil)
		}
		s.ask("PUT", "/v2/wrong/"+what+"/blobs/uploads/1?fairlead-replica=westus&digest="+digestOf(nil), []byte("x"))
	}
	for range 2 { // a broken connection, then 404
		s.ask("PATCH", "/v2/app/blobs/uploads/1?fairlead-replica=westeurope&_state="+s.state, []byte("part"))
	}
	s.ask("GET", "/v2/../metrics", nil, 404)
	s.ask("TRACE", "/v2/app/manifests/v1", nil, 405)
	s.ask("PUT", "/v2/app/manifests/:", []byte(s.add("a body that is refused")), 400)
}

func (s *canarySet) askForTokens() {
	s.ask("GET", "/service/token?service=west&scope=repository:app:pull,push&password="+s.token, nil, 200)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {s.add("an identity token in a body", atWest)}}
	s.ask("POST", "/service/token", []byte(form.Encode()), 200)
}

// end waits until all that was to be said has been.
func (s *canarySet) end() {
	s.ask("GET", "/v2/the-last-one/manifests/v1", nil, 404)
	waitFor(s, startBound, "the last line of the access log", func() error {
		if text, err := os.ReadFile(s.g.accessLog); err != nil || !bytes.Contains(text, []byte("the-last-one")) {
			return fmt.Errorf("it is not there: %v", err)
		}
		return nil
	})
	waitFor(s, startBound, "webhooks to be tried", func() error {
		for _, name := range []string{"failing", "unreachable"} {
			if events := s.g.adminText(s, "/webhooks/"+name+"/events"); !strings.Contains(events, `"error"`) {
				return fmt.Errorf("%s: %s", name, events)
			}
		}
		return nil
	})
}

// look gathers all that the gateway has written and says.
func (s *canarySet) look() {
	s.note("the log", s.g.output())
	lines, err := os.ReadFile(s.g.accessLog)
	must(s, err)
	s.note("the access log", string(lines))
	for line := range bytes.Lines(lines) {
		if !json.Valid(line) {
			s.Errorf("no JSON: %s", line)
		}
	}
	for _, path := range []string{
		"/", "/metrics", "/healthz", "/readyz?verbose", "/fleet", "/leases", "/leases?repository=app", "/cluster",
		"/egress", "/damaged", "/images?repository=app&reference=v1", "/images?ref=app:v1", "/replication",
		"/replication/failures", "/replication/conflicts", "/audit", "/webhooks", "/webhooks/failing", "/webhooks/failing/events",
		"/webhooks/unreachable", "/webhooks/unreachable/events",
	} {
		_, body, err := s.g.askAdmin(path)
		must(s, err)
		s.note("admin "+path, string(body))
	}
	must(s, filepath.WalkDir(s.g.state, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			s.note("state: "+entry.Name(), contentOf(path))
		}
		return err
	}))
	file := filepath.Join(s.TempDir(), "fairlead.yaml")
	writeFile(s, file, s.g.String())
	for _, args := range [][]string{
		{"check", file}, {"check", "--live", file},
		{"explain", "--config", file, "--client", "127.0.1.7", "--repository", "app", "--write", "--admin", "http://" + s.g.admin},
		{"webhook", "list", "--admin", "http://" + s.g.admin}, {"webhook", "show", "failing", "--admin", "http://" + s.g.admin},
		{"replication", "failures", "--admin", "http://" + s.g.admin},
	} {
		out, err := command(s, nil, built(s, fairleadProgram), args...)
		s.note("fairlead "+args[0]+" "+args[1], out)
		if err != nil {
			s.note("fairlead "+args[0]+" "+args[1], err.Error())
		}
	}
}
