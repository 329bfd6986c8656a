package proxy

import (
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	start = time.Unix(1_000_000, 0)
	alice = netip.MustParseAddr("192.0.2.1")
	bob   = netip.MustParseAddr("192.0.2.2")
)

func TestLeases(t *testing.T) {
	at := func(d time.Duration) time.Time { return start.Add(d) }
	l := newLeases(10*time.Minute, nil, maxRemembered)
	if got := l.owner("app", start); got != "" {
		t.Errorf("owner before any write: %q", got)
	}
	if got := l.accept(t.Context(), "app", "west", alice, start); got != "west" {
		t.Errorf("the first accepted write grants to its replica, got %q", got)
	}
	if got := l.accept(t.Context(), "app", "east", bob, at(time.Minute)); got != "west" {
		t.Errorf("a later write elsewhere moves nothing, got %q", got)
	}
	if got := l.boundTo("app", bob, at(time.Minute)); got != "west" {
		t.Errorf("the later writer is bound to the owner, got %q", got)
	}
	if got := l.owner("other", at(time.Minute)); got != "" {
		t.Errorf("a lease is of one repository, got %q", got)
	}
	if got := l.owner("app", at(11*time.Minute-time.Second)); got != "west" {
		t.Errorf("within idle of the last write: %q", got)
	}
	release, _ := l.open("app", "west", at(10*time.Minute))
	if got := l.owner("app", at(time.Hour)); got != "west" {
		t.Errorf("while a request is open: %q", got)
	}
	l.accept(t.Context(), "app", "west", alice, at(time.Hour))
	release()
	if got := l.owner("app", at(time.Hour+9*time.Minute)); got != "west" {
		t.Errorf("idle counts from the last accepted write: %q", got)
	}
	open(l, "west", at(time.Hour+9*time.Minute))()
	if got := l.owner("app", at(time.Hour+10*time.Minute)); got != "" {
		t.Errorf("a request that was not accepted has prolonged the lease: %q", got)
	}
	if n := l.count(); n != 0 {
		t.Errorf("%d leases kept after the end", n)
	}
}

// What is under way elsewhere says nothing about the owner's writes.
func TestOpenIsForTheOwnersRequests(t *testing.T) {
	l := newLeases(time.Minute, nil, maxRemembered)
	open(l, "west", start)()
	l.accept(t.Context(), "app", "west", alice, start)
	defer open(l, "east", start)()
	if got := l.list(start); len(got) != 1 || got[0].Open != 0 {
		t.Errorf("%+v", got)
	}
	if got := l.owner("app", start.Add(time.Hour)); got != "" {
		t.Errorf("a request to east keeps the lease of %s", got)
	}
}

func TestLeaseEnds(t *testing.T) {
	l := newLeases(time.Minute, nil, maxRemembered)
	l.accept(t.Context(), "app", "west", alice, start)
	release, _ := l.open("app", "west", start)
	l.revoke("app", "east", nil)
	if got := l.owner("app", start); got != "west" {
		t.Errorf("ended by another's name: %q", got)
	}
	l.revoke("app", "west", nil)
	if got := l.owner("app", start); got != "" {
		t.Errorf("after the end: owner %q", got)
	}
	l.accept(t.Context(), "app", "east", alice, start)
	release() // of the lease that is gone: must not count for the new one
	if got := l.list(start); len(got) != 1 || got[0].Owner != "east" || got[0].Open != 0 {
		t.Errorf("the new lease: %+v", got)
	}
}

func TestOneLeaseForPeople(t *testing.T) {
	l := newLeases(time.Minute, nil, maxRemembered)
	l.accept(t.Context(), "app", "west", alice, start)
	if got := l.info("app", start); got != l.list(start)[0] {
		t.Errorf("%+v, listed is %+v", got, l.list(start))
	}
	if got := l.info("app", start.Add(time.Minute)); got != (LeaseInfo{}) {
		t.Errorf("after its end: %+v", got)
	}
	if got := l.info("other", start); got != (LeaseInfo{}) {
		t.Errorf("of another repository: %+v", got)
	}
}

// several agree on seven leases, whatever this gateway remembers.
type several struct{ alone }

func (several) Held() int { return 7 }

func TestLeasesAreCountedAsAgreedOn(t *testing.T) {
	for _, test := range []struct {
		agreed Agreement
		want   int
	}{{nil, 1}, {several{}, 7}} {
		l := newLeases(time.Minute, test.agreed, maxRemembered)
		l.accept(t.Context(), "app", "west", alice, start)
		if got := l.countHeld(); got != test.want {
			t.Errorf("%T: %d leases, want %d", test.agreed, got, test.want)
		}
	}
}

func TestBindings(t *testing.T) {
	l := newLeases(time.Minute, nil, maxRemembered)
	l.bind("app", "west", alice, start)
	for _, test := range []struct {
		repository string
		client     netip.Addr
		after      time.Duration
		want       string
	}{
		{"app", alice, time.Minute, "west"},
		{"app", alice, time.Minute + 1, ""},
		{"app", bob, 0, ""},
		{"other", alice, 0, ""},
	} {
		if got := l.boundTo(test.repository, test.client, start.Add(test.after)); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

func TestTablesAreBounded(t *testing.T) {
	l := newLeases(time.Hour, nil, maxRemembered)
	for i := range maxRemembered + 1000 {
		name := strconv.Itoa(i)
		l.accept(t.Context(), name, "west", alice, start)
		l.bind(name, "west", bob, start)
	}
	if l.byName.Len() > maxRemembered || l.bindings.Len() > maxRemembered {
		t.Errorf("%d leases, %d bindings", l.byName.Len(), l.bindings.Len())
	}
	if got := l.owner(strconv.Itoa(maxRemembered+999), start); got != "west" {
		t.Errorf("the newest was dropped: %q", got)
	}
}

func TestPushScopesAreBounded(t *testing.T) {
	scope := strings.Repeat("repository:app:push ", maxScopes+1)
	if got := pushScopes([]string{scope}); len(got) != maxScopes {
		t.Errorf("%d repositories in one request", len(got))
	}
}

func TestPushScopes(t *testing.T) {
	for scope, want := range map[string]string{
		"repository:app:pull,push":                 "app",
		"repository:team/app:push":                 "team/app",
		"repository:app:pull":                      "",
		"repository:app:pushy":                     "",
		"repository:a:pull,push repository:b:pull": "a",
		"repository:a:pull,push repository:b:push": "a b",
		"registry:catalog:*":                       "",
		"repository:host:5000/app:pull,push":       "",
		"repository:../app:push":                   "",
		"repository:":                              "",
		"":                                         "",
	} {
		got := ""
		for _, name := range pushScopes([]string{scope}) {
			if got != "" {
				got += " "
			}
			got += name
		}
		if got != want {
			t.Errorf("%q: %q, want %q", scope, got, want)
		}
	}
}

func open(l *leases, owner string, now time.Time) (done func()) {
	done, _ = l.open("app", owner, now)
	return done
}

// keeper is told what is under way.
type keeper struct {
	alone
	kept chan string
}

func (k keeper) Keep(repository, owner string) {
	select {
	case k.kept <- repository + " " + owner:
	default:
	}
}

func TestWhatIsUnderWayKeepsTheLease(t *testing.T) {
	agreed := keeper{kept: make(chan string, 1)}
	g := newHastyRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "/v2/app/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	}}, func(c *rigConfig) { c.LeaseIdle, c.Agreement = 40*time.Millisecond, agreed })
	for _, test := range []struct {
		name, path string
		want       string
	}{
		{"nobody's upload", "/v2/other/blobs/uploads/1?fairlead-replica=west", ""},
		{"the owner's", "/v2/app/blobs/uploads/1?fairlead-replica=west", "app west"},
	} {
		if test.want != "" {
			g.proxy.leases.accept(t.Context(), "app", "west", alice, time.Now())
			// on a slow machine the request comes later than a lease lives
			defer open(g.proxy.leases, "west", time.Now())()
		}
		body, send := io.Pipe()
		request, err := http.NewRequest(http.MethodPatch, g.gateway.URL+test.path, body)
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan error, 1)
		go func() {
			response, err := http.DefaultClient.Do(request)
			if err == nil {
				response.Body.Close()
			}
			answered <- err
		}()
		got := ""
		for i := 0; i < 40 && got == ""; i++ { // at pace, for more than a watch's first looks
			_, _ = send.Write(make([]byte, 2000))
			select {
			case got = <-agreed.kept:
			case <-time.After(10 * time.Millisecond):
			}
		}
		send.Close()
		if err := <-answered; err != nil || got != test.want {
			t.Errorf("%s: kept %q, %v", test.name, got, err)
		}
	}
}
