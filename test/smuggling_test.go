package test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// verdict is what is to become of a hostile request.
type verdict int

const (
	malformed verdict = iota // answered with 4xx or 5xx, and the connection ends: nothing behind it can be told apart
	refused                  // answered with 4xx, and what follows is answered
	passes                   // it arrives as what was decided on
	cutOff                   // its head may arrive; it never arrives in full
)

// hostile is a request, and what may follow at once. In its text {C} is the repository that names it, {H} the hostname.
type hostile struct {
	verdict verdict
	text    string

	// Of what passes.
	method, target, body string // as they are to arrive
	arrives              []string
	gone                 []string // fields that must not arrive
	ends                 bool     // what is behind it is malformed
}

// TestSmuggling sends what is meant to be read differently by two servers, in clear text and over TLS. Behind each comes
// an innocent request on the same connection, then one on another.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "clear", true: "TLS"}[secure], func(t *testing.T) {
			t.Parallel()
			all := hostiles()
			slices.SortFunc(all, func(a, b hostile) int { return strings.Compare(a.text, b.text) })
			newSmuggling(t, secure).run(t, oneOf(few(12, 1), all))
		})
	}
}

// smuggling is a gateway before a strict upstream.
type smuggling struct {
	upstream *recorder
	g        *gateway
	secure   bool
}

func newSmuggling(t *testing.T, secure bool) smuggling {
	t.Helper()
	upstream := startRecorder(t)
	f := file{health: "{fronts: false}", networks: splitNetworks, replicas: []replica{{name: "westus",
		place: "azure/westus", address: "127.0.0.11", upstream: "http://" + upstream.address, home: true}}}
	if secure {
		certificate, key := selfSigned(t)
		f.tls = fmt.Sprintf("{certificate: %q, key: %q}", certificate, key)
	}
	return smuggling{upstream, startGateway(t, "gateway", "127.0.0.1", f), secure}
}

func (s smuggling) run(t *testing.T, all []hostile) {
	inParallel(len(all), func(i int) {
		if err := s.try(all[i], i); err != nil {
			t.Errorf("%.300q: %v", all[i].text, err)
		}
	})
	came, wrong := s.upstream.seen()
	for _, w := range wrong {
		t.Errorf("the upstream cannot read: %.300s", w)
	}
	by := map[string][]recorded{}
	for _, r := range came {
		if strings.Contains(r.target, "smuggled") || r.all("X-Smuggled") != nil {
			t.Errorf("smuggled: %+v", r)
		}
		if m := caseName.FindStringSubmatch(r.target); m != nil {
			by[m[1]] = append(by[m[1]], r)
		}
	}
	for i, h := range all {
		if err := h.arrived(by[fmt.Sprint("c", i)]); err != nil {
			t.Errorf("%.300q: %v", h.text, err)
		}
		if n := len(by[fmt.Sprint("i", i)]); n > 1 || n == 1 && (h.verdict == malformed || h.verdict == cutOff || h.ends) {
			t.Errorf("%.300q: what was behind it came %d times", h.text, n)
		}
	}
	t.Logf("figure: %d hostile requests; %d requests came to the upstream", len(all), len(came))
}

// oneOf takes one of so many.
func oneOf[T any](n int, all []T) (some []T) {
	for i := 0; i < len(all); i += n {
		some = append(some, all[i])
	}
	return some
}

// inParallel does as many things, a few at a time.
func inParallel(n int, do func(i int)) {
	work := make(chan int)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	workers.Wait()
}

// arrived judges what came to the upstream of one.
func (h hostile) arrived(came []recorded) error {
	if h.verdict != passes {
		if len(came) > 0 {
			return fmt.Errorf("reached the upstream: %+v", came)
		}
		return nil
	}
	if len(came) != 1 {
		return fmt.Errorf("came %d times", len(came))
	}
	r := came[0]
	if name := caseName.FindStringSubmatch(r.target)[1]; r.method != h.method ||
		r.target != strings.ReplaceAll(h.target, "{C}", name) || r.body != h.body {
		return fmt.Errorf("arrived as %+v", r)
	}
	if host := r.all("Host"); !strings.Contains(strings.ReplaceAll(h.text, "{H}", hostname), "Host: "+host[0]) {
		return fmt.Errorf("arrived for %q", host)
	}
	if r.all("X-Forwarded-For") == nil || r.all("Via") == nil {
		return fmt.Errorf("arrived without what the gateway adds: %+v", r.fields)
	}
	for _, name := range append([]string{"Upgrade", "Keep-Alive", "Proxy-Connection", "Trailer"}, h.gone...) {
		if r.all(name) != nil {
			return fmt.Errorf("arrived with %s: %+v", name, r.fields)
		}
	}
	for _, name := range h.arrives {
		if r.all(name) == nil {
			return fmt.Errorf("arrived without %s: %+v", name, r.fields)
		}
	}
	return nil
}

// blobPath is of what the recorder answers.
const blobPath = "/v2/%s/blobs/sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

func innocent(name string) string {
	return "GET " + fmt.Sprintf(blobPath, name) + " HTTP/1.1\r\nHost: " + hostname + "\r\nConnection: close\r\n\r\n"
}

// try sends one and judges what is answered.
func (s smuggling) try(h hostile, i int) error {
	text := strings.NewReplacer("{C}", fmt.Sprint("c", i), "{H}", hostname).Replace(h.text)
	conn, err := s.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, text+innocent(fmt.Sprint("i", i))) }()
	answers := bufio.NewReader(conn)
	method, _, _ := strings.Cut(strings.TrimLeft(text, "\r\n"), " ")
	answer, err := readAnswer(answers, method)
	switch {
	case h.verdict == cutOff && err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
	case err != nil:
		return err
	case h.verdict == passes && (answer.status >= 300 || answer.to != fmt.Sprint("c", i)):
		return fmt.Errorf("answered %+v", answer)
	case h.verdict != passes && (answer.status < 400 || answer.to != "" || !strings.Contains(answer.body, `"errors"`) && method != "HEAD"):
		return fmt.Errorf("answered %+v", answer)
	}
	switch {
	case h.ends:
		if answer, err = readAnswer(answers, "GET"); err != nil || answer.status < 400 || answer.to != "" {
			return fmt.Errorf("what is malformed behind it is answered %+v, %v", answer, err)
		}
	case h.verdict == passes || h.verdict == refused:
		if answer, err = readAnswer(answers, "GET"); err != nil || answer.to != fmt.Sprint("i", i) {
			return fmt.Errorf("what is behind it is answered %+v, %v", answer, err)
		}
	}
	rest, err := io.ReadAll(answers)
	if len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("then comes %.300q, %v", rest, err)
	}
	return s.stillWorks(i)
}

// stillWorks: a good request on a connection of its own.
func (s smuggling) stillWorks(i int) error {
	conn, err := s.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	name := fmt.Sprint("afterwards", i)
	if _, err := io.WriteString(conn, innocent(name)); err != nil {
		return err
	}
	answer, err := readAnswer(bufio.NewReader(conn), "GET")
	if err != nil || answer.to != name {
		return fmt.Errorf("a good request afterwards: %+v, %v", answer, err)
	}
	return nil
}

func (s smuggling) dial() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", s.g.listen, patient(startBound))
	if err != nil {
		return nil, err
	}
	if s.secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	return conn, conn.SetDeadline(time.Now().Add(patient(startBound)))
}

// hostileAnswer is an answer's status, and whose it is.
type hostileAnswer struct {
	status   int
	to, body string
}

// readAnswer reads the final answer to a request.
func readAnswer(r *bufio.Reader, method string) (hostileAnswer, error) {
	for {
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return hostileAnswer{}, err
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return hostileAnswer{}, err
		}
		if response.StatusCode >= 200 {
			return hostileAnswer{response.StatusCode, response.Header.Get("X-Answer-To"), string(body)}, nil
		}
	}
}
