package webhook

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// TestReopened: what was queued is delivered by whoever opens the store next, to where its webhook is by then.
func TestReopened(t *testing.T) {
	dir := t.TempDir()
	s := openSite(t, setup{dir: dir, inFile: []subscription.Subscription{named("stays", "http://a"),
		named("leaves", "http://a")}})
	s.create(t, named("made1", "http://a"), named("made2", "http://a"))
	s.publish(t, "e1", "e2")
	s.Close()

	box, url := listen(t, fine)
	s = openSite(t, setup{dir: dir, inFile: []subscription.Subscription{named("Stays", url), named("made1", url)}})
	if _, err := s.Update("made2", Change{ServiceURI: &url}); err != nil {
		t.Fatal(err)
	}
	s.publish(t, "e1", "e3")
	s.run(t)
	for _, name := range []string{"stays", "made1", "made2"} {
		poll(t, name, func() bool {
			return s.states(t, name) == "e3 delivered 1, e2 delivered 1, e1 delivered 1" ||
				len(s.events(t, name)) == 3 &&
					s.store.pending() == 0
		})
	}
	if got := box.ids(); !maps.Equal(got, map[string]int{"e1": 3, "e2": 3, "e3": 3}) {
		t.Errorf("%v", got)
	}
	if _, err := s.ListEvents("leaves"); err == nil {
		t.Error("one that left the file is still there")
	}
	if sub, _ := s.Get("made1"); !sub.InFile {
		t.Error("the file does not count")
	}
}

// TestStoppedInTheMiddle: stopped and opened again and again while a receiver takes some and refuses some.
func TestStoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	box, url := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%3 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	dir := t.TempDir()
	for round := range 5 {
		s := openSite(t, setup{dir: dir, inFile: []subscription.Subscription{receiver(url)}})
		stop := s.run(t)
		s.publish(t, ids(round*10, 10)...)
		before := len(box.all())
		poll(t, "some are sent", func() bool { return len(box.all()) >= before+3 })
		stop()
		s.Close()
	}
	s := openSite(t, setup{dir: dir, inFile: []subscription.Subscription{receiver(url)}})
	s.run(t)
	poll(t, "all delivered", func() bool {
		s.skip(maxWait)
		return s.store.pending() == 0
	})
	for _, id := range ids(0, 50) {
		if box.ids()[id] == 0 {
			t.Errorf("%s is lost", id)
		}
	}
}

func ids(from, count int) (out []string) {
	for i := range count {
		out = append(out, fmt.Sprint("e", from+i))
	}
	return out
}

// What a child process is told by.
const (
	envChild = "FAIRLEAD_WEBHOOK_CHILD" // its directory
	envURL   = "FAIRLEAD_WEBHOOK_URL"
	envRound = "FAIRLEAD_WEBHOOK_ROUND"
)

// child publishes for ever, delivers meanwhile, and says what it was told is on disk.
func child() {
	s, err := Open(Config{
		Dir:      os.Getenv(envChild),
		Settings: Settings{InFile: []subscription.Subscription{receiver(os.Getenv(envURL))}, AllowPrivate: true},
		Now:      time.Now,
		Log:      slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go s.Run(context.Background())
	for i := 0; ; i++ {
		id := fmt.Sprintf("r%s-%d", os.Getenv(envRound), i)
		if err := s.Publish(image(id)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(id)
	}
}

// TestKilled: a process that publishes and delivers is killed 20 times at a random moment. What it said is on disk is
// delivered, and what comes twice is no more than what was under way when it was killed.
func TestKilled(t *testing.T) {
	t.Parallel()
	rounds := 20
	if testing.Short() {
		rounds = 6
	}
	var n atomic.Int32
	box, url := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%7 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	dir := t.TempDir()
	var said []string
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), envChild+"="+dir, envURL+"="+url, fmt.Sprintf("%s=%d", envRound, round))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := 1 + rand.IntN(30)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said = append(said, lines.Text())
			if kill--; kill == 0 {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
	}
	s := openSite(t, setup{dir: dir, inFile: []subscription.Subscription{receiver(url)}})
	s.run(t)
	poll(t, "all delivered", func() bool {
		s.skip(maxWait)
		return s.store.pending() == 0
	})
	got, twice := box.ids(), 0
	for _, id := range said {
		if got[id] == 0 {
			t.Errorf("%s is lost", id)
		}
	}
	for _, count := range got {
		twice += count - 1
	}
	refused := int(n.Load()) / 7
	if twice > refused+rounds*maxInFlight {
		t.Errorf("%d came once more, of which %d were refused", twice, refused)
	}
	t.Logf("%d events, %d requests, %d refused, %d more", len(said), n.Load(), refused, twice-refused)
}
