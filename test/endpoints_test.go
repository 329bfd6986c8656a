package test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEndpoints sends one script (spec_test.go) to a registry, and again through two gateways, every request through
// the other one in turn, over three replicas of that registry. All answers must be the same, but for the place in a
// Location. The client is nearest to a replica that neither gateway stands beside.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, kind := range endpointKinds {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name != distributionKind.name {
				long(t)
			}
			t.Parallel()
			direct := kind.start(t, "direct", freeAddress(t, "127.0.0.1"))
			registries := startRegistries(t, kind, splitReplicas)
			var alone []*gateway
			if !testing.Short() {
				alone = splitGateways(t, registries)
			}
			clustered := startCluster(t, registries, func(_ int, f *file) { f.replication = copyAll })
			for _, c := range []struct {
				repository string
				gateways   []*gateway
				first      int  // of the gateways
				filled     bool // all registries have all of it before
			}{
				{"alone", alone, 0, false},
				{"alone-filled", alone, 1, true},
				{"clustered", []*gateway{clustered[0], clustered[2]}, 1, false},
				{"clustered-filled", []*gateway{clustered[0], clustered[2]}, 0, true},
			} {
				t.Run(c.repository, func(t *testing.T) {
					if c.repository != "clustered" {
						long(t)
					}
					rows := specScript(t, c.repository)
					if c.filled {
						fill(t, rows, append([]*registry{direct}, registries...))
					}
					compare(t, kind, rows, directly(t, direct), inTurns(t, c.gateways, c.first))
				})
			}
		})
	}
}

// TestEndpointsDenied is the same with registries that want a password.
func TestEndpointsDenied(t *testing.T) {
	t.Parallel()
	var registries []*registry
	for _, r := range splitReplicas {
		registries = append(registries, startLocked(t, r.name))
	}
	compare(t, registryKind{}, deniedScript(t), directly(t, startLocked(t, "direct")),
		inTurns(t, splitGateways(t, registries), 0))
}

var endpointKinds = []registryKind{distributionKind, memoryKind, referrersKind, debianKind}

// row is one request of a script, and what its answer is compared with.
type row struct {
	name         string
	method, path string // "@NAME" at the beginning of the path is the Location, or the next page, saved as NAME
	header       http.Header
	body         []byte
	save         string
	status       int  // that registries answer; 0: they differ
	deletes      bool // neither it nor what comes after it fills a registry
	unlike       []unlike
}

// unlike is an answer that is meant to differ from the registry's own.
type unlike struct {
	kinds  []string
	answer string
	reason string
}

// answer is what a client can see of a response.
type answer struct {
	text        string // status, headers and body, without what differs between two registries of a kind
	place, next string // where the Location and the next page lead to
}

// sender is a way to a registry.
type sender func(method, path string, header http.Header, body []byte) answer

func directly(t testing.TB, r *registry) sender {
	return sendTo(t, func() string { return r.url() })
}

// inTurns begins with one of the gateways and goes on with the next one.
func inTurns(t testing.TB, gateways []*gateway, turn int) sender {
	return sendTo(t, func() string {
		turn++
		return gateways[turn%len(gateways)].url()
	})
}

func sendTo(t testing.TB, base func() string) sender {
	transport := &http.Transport{DialContext: from("127.0.2.7").DialContext, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return func(method, path string, header http.Header, body []byte) answer {
		request, err := http.NewRequest(method, base()+path, bytes.NewReader(body))
		must(t, err)
		for name, values := range header {
			request.Header[name] = values
		}
		if header.Get("Transfer-Encoding") != "" {
			request.ContentLength = -1
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return answer{text: "no answer: " + err.Error()}
		}
		defer response.Body.Close()
		content, err := io.ReadAll(io.LimitReader(response.Body, 8<<20))
		a := answerOf(response, content)
		if err != nil {
			a.text += "\nbroken off: " + err.Error()
		}
		return a
	}
}

// Dates, and names of replicas and uploads, tell nothing of what a registry says.
var (
	withoutMeaning = []string{"Date", "Fairlead-Replica", "Via", "Docker-Upload-Uuid"}
	origin         = regexp.MustCompile(`https?://127\.0\.[0-9.]+:[0-9]+`)
	uploadID       = regexp.MustCompile(`/blobs/uploads/[0-9a-f-]{8,}`)
	boundary       = regexp.MustCompile(`\b[0-9a-f]{60}\b`) // of multipart
	uploadState    = regexp.MustCompile(`_state=[^&"\s>]+`)
	owner          = regexp.MustCompile(`([?&]fairlead-upload=empty)?[?&]fairlead-replica=[a-z]+(~[0-9a-f]{8})?`)
)

func answerOf(response *http.Response, content []byte) answer {
	a := answer{place: response.Header.Get("Location")}
	if target, _, ok := strings.Cut(response.Header.Get("Link"), ">"); ok {
		a.next = strings.TrimPrefix(target, "<")
	}
	lines := []string{response.Status}
	for name, values := range response.Header {
		if !slices.Contains(withoutMeaning, name) {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(lines[1:])
	if len(content) > 1<<10 {
		content = fmt.Appendf(nil, "%d bytes, %s", len(content), digestOf(content))
	}
	text := fmt.Sprintf("%s\nof %d bytes %v\n\n%s", strings.Join(lines, "\n"), response.ContentLength,
		response.TransferEncoding, content)
	text = origin.ReplaceAllString(text, "")
	text = uploadID.ReplaceAllString(text, "/blobs/uploads/ID")
	text = boundary.ReplaceAllString(text, "BOUNDARY")
	text = uploadState.ReplaceAllString(text, "_state=STATE")
	a.text = owner.ReplaceAllString(text, "")
	return a
}

// conversation is one run of a script.
type conversation struct {
	send  sender
	saved map[string]string
}

func (c *conversation) ask(r row) answer {
	path := r.path
	if rest, ok := strings.CutPrefix(path, "@"); ok {
		name, more, _ := strings.Cut(rest, "&")
		path = origin.ReplaceAllString(c.saved[name], "")
		if path == "" {
			return answer{text: "nothing is saved as " + name}
		}
		if more != "" && strings.Contains(path, "?") {
			path += "&" + more
		} else if more != "" {
			path += "?" + more
		}
	}
	a := c.send(r.method, path, r.header, r.body)
	if r.save != "" && a.place+a.next != "" {
		c.saved[r.save] = a.place + a.next
	}
	return a
}

// fill gives all registries the same content, up to the first row that deletes.
func fill(t *testing.T, rows []row, registries []*registry) {
	t.Helper()
	for _, r := range registries {
		c := conversation{directly(t, r), map[string]string{}}
		for _, row := range rows {
			if row.deletes {
				break
			}
			if row.method != http.MethodHead && (row.method != http.MethodGet || row.save != "") {
				c.ask(row)
			}
		}
	}
}

func compare(t *testing.T, kind registryKind, rows []row, direct, through sender) {
	t.Helper()
	a, b := conversation{direct, map[string]string{}}, conversation{through, map[string]string{}}
	for _, r := range rows {
		want, got := a.ask(r).text, b.ask(r).text
		if r.status != 0 && !strings.HasPrefix(want, fmt.Sprint(r.status)) {
			t.Errorf("%s: %s %s: status %d was expected of the registry:\n%s", r.name, r.method, r.path, r.status, want)
		}
		i := slices.IndexFunc(r.unlike, func(u unlike) bool { return slices.Contains(u.kinds, kind.name) })
		switch {
		case i < 0 && got != want:
			t.Errorf("%s: %s %s\n--- the registry says\n%s\n--- the gateways say\n%s", r.name, r.method, r.path, want,
				got)
		case i >= 0 && got == want:
			t.Errorf("%s: no difference any more, though %s", r.name, r.unlike[i].reason)
		case i >= 0 && !strings.Contains(got, r.unlike[i].answer):
			t.Errorf("%s: %s %s: %q was expected, because %s:\n%s", r.name, r.method, r.path, r.unlike[i].answer,
				r.unlike[i].reason, got)
		}
	}
}
