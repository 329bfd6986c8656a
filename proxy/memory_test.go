package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func roomFor(m Memory) *room {
	return newRoom(m.complete(), DefaultShare, time.Second, prometheus.NewRegistry())
}

// TestRoomForRequests: what carries on a push finds room where what begins something does not, one clientPrefix leaves
// some to others, and pings pass where all is full.
func TestRoomForRequests(t *testing.T) {
	one, other, third := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	r := roomFor(Memory{Requests: 80})
	var leave []func()
	for _, step := range []struct {
		client netip.Addr
		class  priority
		enter  int // so many do
		then   *refusal
	}{
		{one, newcomer, 56, tooManyOfOne},
		{one, continuing, 8, tooManyOfOne},
		{other, newcomer, 6, tooMany},
		{third, newcomer, 0, tooMany},
		{other, continuing, 10, tooMany},
		{third, ping, 5, tooMany},
	} {
		for range step.enter {
			out, why := r.enter(step.client, 1, step.class)
			if why != nil {
				t.Fatalf("%+v: after %d: %v", step, len(leave), why.error)
			}
			leave = append(leave, out)
		}
		if _, why := r.enter(step.client, 1, step.class); why != step.then {
			t.Errorf("%+v: after %d: %v", step, len(leave), why)
		}
	}
	for _, out := range leave {
		out()
	}
	if r.used != 0 || len(r.by) != 0 {
		t.Errorf("%d used by %v when all have left", r.used, r.by)
	}
}

// One client's pings are within its share: they keep no others out.
func TestPingsHaveAShare(t *testing.T) {
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	r := roomFor(Memory{Requests: 80})
	for range 2 * 80 {
		_, _ = r.enter(one, 1, ping)
	}
	if r.used >= 80 {
		t.Errorf("one client has %d of 80", r.used)
	}
	for _, class := range []priority{newcomer, continuing, ping} {
		if _, why := r.enter(other, 1, class); why != nil && class != newcomer {
			t.Errorf("another one, %v: %v", class, why.error)
		}
	}
}

func TestRoomForManifests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := roomFor(Memory{Held: 4 << 20})
		all, err := r.reserve(t.Context(), 1<<30)
		if err != nil {
			t.Fatal("what is larger than all there is:", err)
		}
		if done, err := r.reserve(t.Context(), 1000); err != nil {
			t.Error("a small one beside a large one:", err)
		} else {
			done()
		}
		began := time.Now()
		if _, err := r.reserve(t.Context(), 1<<20); !errors.Is(err, errNoRoom) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		waits := make(chan error, maxWaiting)
		for range maxWaiting {
			go func() {
				done, err := r.reserve(t.Context(), 1<<20)
				if err == nil {
					done()
				}
				waits <- err
			}()
		}
		synctest.Wait()
		began = time.Now()
		if _, err := r.reserve(t.Context(), 1<<20); !errors.Is(err, errNoRoom) || time.Since(began) != 0 {
			t.Errorf("behind %d that wait: %v after %v", maxWaiting, err, time.Since(began))
		}
		all()
		all() // twice is once
		for range maxWaiting {
			if err := <-waits; err != nil {
				t.Error("that waited until there was room:", err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if done, err := r.reserve(ctx, 3<<20); err == nil {
			done()
		}
		if !r.large.TryAcquire(r.mostLarge) || !r.small.TryAcquire(r.mostSmall) {
			t.Error("not all was given back")
		}
	})
}

// TestManifestsAreBoundedInNumber: small ones count as more than their bytes, and large ones have other room.
func TestManifestsAreBoundedInNumber(t *testing.T) {
	r := roomFor(Memory{Held: 4 << 20})
	held := 0
	for _, ok := r.tryReserve(1); ok; _, ok = r.tryReserve(1) {
		held++
	}
	if held != (1<<20)/leastManifest {
		t.Errorf("%d manifests of a byte are held", held)
	}
	if _, ok := r.tryReserve(1 << 20); !ok {
		t.Error("no room for a large one")
	}
}

// TestLackOfRoom: a push or request that there is no room for is 503, which is no replica's trouble, a pull passes
// without being looked at, and nothing stays taken.
func TestLackOfRoom(t *testing.T) {
	t.Parallel()
	large := `{"schemaVersion":2,"annotations":{"a":"` + strings.Repeat("a", 1<<20) + `"}}`
	serve := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, large)
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": serve, "east": serve, "europe": serve}, func(c *rigConfig) {
		c.Memory = Memory{Held: 4 << 20, Requests: 16 * RequestMemory}
	})
	g.proxy.room.wait.set(100 * time.Millisecond)
	ask := func(method string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, g.gateway.URL+"/v2/app/manifests/v1",
			strings.NewReader(large))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		if response.StatusCode == http.StatusServiceUnavailable &&
			(response.Header.Get("Retry-After") == "" || !bytes.Contains(text, []byte("memory allows"))) {
			t.Errorf("%v %s", response.Header, text)
		}
		return response.StatusCode
	}
	expect := func(what string, want map[string]int) {
		t.Helper()
		for method, status := range want {
			if got := ask(method); got != status {
				t.Errorf("%s: %s: %d, want %d", what, method, got, status)
			}
		}
	}
	served := map[string]int{http.MethodPut: 201, http.MethodGet: 200}
	expect("with room", served)
	done, err := g.proxy.room.reserve(t.Context(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	expect("without room for a large manifest", map[string]int{http.MethodPut: 503, http.MethodGet: 200})
	done()
	expect("with room again", served)
	var leave []func()
	for i, n := range []int64{11, 3} {
		out, why := g.proxy.room.enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), n*RequestMemory, newcomer)
		if why != nil {
			t.Fatal(why.error)
		}
		leave = append(leave, out)
	}
	expect("without room for a request", map[string]int{http.MethodPut: 503, http.MethodGet: 503})
	for _, out := range leave {
		out()
	}
	expect("with room at last", served)
	for _, name := range []string{"west", "east", "europe"} {
		if g.troubled(name) {
			t.Error("a replica is in trouble for what the gateway lacks:", name)
		}
	}
	if r := g.proxy.room; r.used != 0 || !r.large.TryAcquire(r.mostLarge) || !r.small.TryAcquire(r.mostSmall) {
		t.Errorf("not all was given back: %d", r.used)
	}
}

func TestReadAll(t *testing.T) {
	for _, c := range []struct {
		length, most int64
		body, want   string
		err          error
	}{
		{3, 10, "abc", "abc", nil},
		{0, 10, "", "", nil},
		{-1, 10, "abc", "abc", nil},
		{-1, 2, "abcdef", "abc", nil},
		{6, 2, "abcdef", "abc", nil},
		{4, 10, "abc", "abc", io.ErrUnexpectedEOF},
		{4, 10, "", "", io.EOF},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			got, err := readAll(strings.NewReader(c.body), c.length, c.most)
			if string(got) != c.want || !errors.Is(err, c.err) {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}
