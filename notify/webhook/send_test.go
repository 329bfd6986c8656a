package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

func TestDelivered(t *testing.T) {
	box, url := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Answer", "yes")
		w.Header().Set("Set-Cookie", "session=abc")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "thank you")
	})
	sub := receiver(url + "/in?team=red")
	sub.Secret = "0123456789abcdef"
	sub.CustomHeaders = map[string]string{"authorization": "Basic 000000", "X-Team": "red"}
	s := openSite(t, setup{inFile: []subscription.Subscription{sub}})
	s.run(t)
	s.publish(t, "e1")
	poll(t, "delivered", func() bool { return s.states(t, "hook1") == "e1 delivered 1" })

	got := box.all()[0]
	want, _ := payloadOf(image("e1"))
	if got.body != string(want) {
		t.Errorf("body %s", got.body)
	}
	if names := slices.Sorted(maps.Keys(got.header)); !slices.Equal(names, []string{
		"Authorization", "Connection", "Content-Length", "Content-Type", "Fairlead-Delivery", "Fairlead-Signature",
		"User-Agent", "X-Team",
	}) {
		t.Errorf("headers %v", names)
	}
	if got.header.Get("Authorization") != "Basic 000000" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", got.header)
	}
	if !verify(sub.Secret, got.header.Get(headerSignature), []byte(got.body), s.now()) {
		t.Errorf("signature %s", got.header.Get(headerSignature))
	}

	d := s.events(t, "hook1")[0]
	if d.Request.RequestURI != url+"/"+subscription.Mask || d.Request.Method != http.MethodPost ||
		string(d.Request.Content) != got.body ||
		d.Request.Headers["Authorization"] != subscription.Mask || d.Request.Headers["X-Team"] != "red" ||
		d.Request.Headers["Content-Length"] != fmt.Sprint(len(want)) {
		t.Errorf("request %+v", d.Request)
	}
	if r := d.Response; r.StatusCode != fmt.Sprint(http.StatusAccepted) || r.ReasonPhrase != "Accepted" ||
		r.Content != "thank you" || r.Version != "1.1" ||
		r.Headers["X-Answer"] != "yes" || r.Headers["Set-Cookie"] != subscription.Mask {
		t.Errorf("response %+v", r)
	}
	if raw, _ := json.Marshal(d); bytes.Contains(raw, []byte("000000")) || bytes.Contains(raw, []byte(sub.Secret)) {
		t.Errorf("it tells secrets: %s", raw)
	}
	file, _ := s.store.db.Begin(false)
	defer file.Rollback()
	var all bytes.Buffer
	file.WriteTo(&all)
	if bytes.Contains(all.Bytes(), []byte("Basic 000000")) {
		t.Error("the credential of the file's webhook is in the store")
	}
}

// TestListEventsShape holds the keys of az acr webhook list-events.
func TestListEventsShape(t *testing.T) {
	raw, err := json.Marshal(Delivery{ID: "e1", Request: RequestMessage{Content: json.RawMessage(`{}`)},
		Response: &ResponseMessage{}, State: Delivered, Attempts: 1})
	want := `{"id":"e1","eventRequestMessage":{"content":{},"headers":null,"method":"","requestUri":"","version":""},` +
		`"eventResponseMessage":{"content":"","headers":null,"reasonPhrase":"","statusCode":"","version":""},"state":"delivered","attempts":1}`
	if err != nil || string(raw) != want {
		t.Errorf("%s %v", raw, err)
	}
}

// TestUndelivered: what goes wrong with a receiver stays queued, and arrives with the same id and body once it is
// right.
func TestUndelivered(t *testing.T) {
	var reached inbox
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached.take(r) }))
	defer elsewhere.Close()
	dead := deadAddress(t)
	for name, test := range map[string]struct {
		answer http.HandlerFunc // nil: fine
		uri    string           // instead of the receiver's own
		tls    bool
		refuse bool
		result result
		err    string
	}{
		"wrong": {answer: func(w http.ResponseWriter,
			_ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
		},
			result: resultStatus, err: "answered 500"},
		"gone": {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) },
			result: resultStatus, err: "answered 410"},
		"redirecting": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
			result: resultRedirect, err: "not followed"},
		"redirecting to see": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusSeeOther)
		},
			result: resultRedirect, err: "not followed"},
		"breaking off": {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			result: resultBroken, err: "EOF"},
		"long headers": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("A", strings.Repeat("a", 1<<20))
		},
			result: resultBroken, err: "header"},
		"dead":                {uri: "http://" + dead, result: resultBroken, err: "refused"},
		"without trusted TLS": {tls: true, result: resultBroken, err: "certificate"},
		"on loopback":         {refuse: true, result: resultAddress, err: "nothing is sent to 127.0.0.1"},
		"named, on loopback": {uri: "http://localhost:" + portOf(dead), refuse: true, result: resultAddress,
			err: "nothing is sent to"},
		"mapped, on loopback": {uri: "http://[::ffff:127.0.0.1]:" + portOf(dead), refuse: true, result: resultAddress,
			err: "nothing is sent to"},
		"on no address": {uri: "http://0.0.0.0:" + portOf(dead), result: resultAddress, err: "nothing is sent to"},
		"on a metadata address": {uri: "http://169.254.169.254", result: resultAddress,
			err: "nothing is sent to 169.254.169.254"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := test.answer
			if answer == nil {
				answer = fine
			}
			wrong, uri := listen(t, answer)
			if test.tls {
				server := httptest.NewTLSServer(answer)
				server.Config.ErrorLog = discard
				defer server.Close()
				uri = server.URL
			}
			if test.uri != "" {
				uri = test.uri
			}
			s := openSite(t, setup{refusePrivate: test.refuse})
			s.create(t, receiver(uri))
			s.run(t)
			s.publish(t, "e1")
			poll(t, "tried", func() bool { return strings.HasPrefix(s.states(t, "hook1"), "e1 pending 1") })
			d := s.events(t, "hook1")[0]
			if !strings.Contains(d.Error, test.err) || d.Next.IsZero() || strings.Contains(d.Error, "://") {
				t.Errorf("%q, again at %v", d.Error, d.Next)
			}
			if n := s.attemptsThat(test.result); n != 1 {
				t.Errorf("%v attempts counted as %s", n, test.result)
			}
			if test.refuse && len(wrong.all()) > 0 {
				t.Error("something was sent to a refused address")
			}
			if test.refuse {
				return
			}
			right, url := listen(t, fine)
			if _, err := s.Update("hook1", Change{ServiceURI: &url}); err != nil {
				t.Fatal(err)
			}
			s.skip(maxWait)
			poll(t, "delivered", func() bool { return s.states(t, "hook1") == "e1 delivered 2" })
			got := right.all()
			for _, before := range wrong.all() {
				if before.id != got[0].id || before.body != got[0].body {
					t.Errorf("first %+v, then %+v", before, got[0])
				}
			}
			if len(got) != 1 || got[0].id != "e1" {
				t.Errorf("it took %+v", got)
			}
		})
	}
	if len(reached.all()) > 0 {
		t.Errorf("a redirect was followed: %v", reached.all())
	}
}

func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

func TestNoProxy(t *testing.T) {
	if newTransport(true, nil).Proxy != nil {
		t.Error("behind a proxy addresses cannot be checked")
	}
}

func TestLongAnswerIsCut(t *testing.T) {
	_, url := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte("\xffa"), 1<<20)) })
	s := openSite(t, setup{inFile: []subscription.Subscription{receiver(url)}})
	s.run(t)
	s.publish(t, "e1")
	poll(t, "delivered", func() bool { return s.states(t, "hook1") == "e1 delivered 1" })
	if got := s.events(t, "hook1")[0].Response.Content; strings.Count(got, "a") != maxResponse/2 ||
		len(got) > 2*maxResponse {
		t.Errorf("%d bytes kept", len(got))
	}
}

// A receiver that says yes and then does not end its answer has taken it all the same.
func TestAnswerThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSite(t, setup{inFile: []subscription.Subscription{receiver("https://hooks.contoso.com")}})
		s.transport = wire(func(r *http.Request) (*http.Response, error) {
			resp := status(200)
			resp.Body = endless{r}
			return resp, nil
		})
		stop := s.run(t)
		s.publish(t, "e1")
		time.Sleep(attemptTimeout)
		synctest.Wait()
		if got := s.states(t, "hook1"); got != "e1 delivered 1" {
			t.Error(got)
		}
		stop()
		s.Close()
	})
}

// endless is a body without an end, that ends with its request.
type endless struct{ r *http.Request }

func (e endless) Read([]byte) (int, error) {
	<-e.r.Context().Done()
	return 0, e.r.Context().Err()
}

func (e endless) Close() error { return nil }
