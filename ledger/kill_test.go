package ledger

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const killDir = "FAIRLEAD_TEST_LEDGER" // in the environment of a child: it writes there until it is killed

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		writeUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// writeUntilKilled says each name when it is durable, and not before.
func writeUntilKilled(dir string) {
	l, err := attempt(dir, "gw1", Named(regions...), time.Now)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	out := make(chan string)
	for i := range 8 {
		go func() {
			for n := range 100_000 {
				name := fmt.Sprintf("v%d-%d-%d", os.Getpid(), i, n)
				e, err := l.Push(tag(name), Content{Digest: digest(os.Getpid()<<32 + i<<24 + n), MediaType: mediaType,
					Size: 1}, "east", Request{})
				if err != nil {
					name = "error " + err.Error()
				}
				out <- name
				if n%3 == 0 {
					_ = l.Confirm(e, "west")
				}
				if n%7 == 0 {
					_, _ = l.Delete(tag(e.Digest), "east", Request{})
				}
			}
		}()
	}
	for name := range out {
		fmt.Println(name)
	}
}

func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	rounds := 20
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), killDir+"="+dir)
		said, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		after := rand.IntN(60)
		var reader sync.WaitGroup
		reader.Go(func() {
			lines := bufio.NewScanner(said)
			for n := 0; lines.Scan(); n++ {
				if strings.HasPrefix(lines.Text(), "error") {
					t.Error(lines.Text())
				}
				acknowledged[lines.Text()] = true
				if n == after {
					_ = child.Process.Kill()
				}
			}
		})
		reader.Wait()
		_ = child.Wait()
		verify(t, dir, acknowledged)
	}
	t.Logf("%d writes were acknowledged", len(acknowledged))
}

func verify(t *testing.T, dir string, acknowledged map[string]bool) {
	t.Helper()
	l := start(t, dir, "gw1", newWall())
	defer l.Close()
	checkIntegrity(t, l)
	there := map[string]int{}
	for after := ""; ; {
		page := must1(l.List("team/app", after, maxList))(t)
		for _, e := range page {
			there[e.Name]++
			after = e.Name
		}
		if len(page) < maxList {
			break
		}
	}
	pushed := map[string]int{}
	for after := uint64(0); ; {
		events := must1(l.Events(after, maxList))(t)
		for _, e := range events {
			if after = e.Number; e.Kind == Pushed {
				pushed[e.Entry.Name]++
			}
		}
		if len(events) < maxList {
			break
		}
	}
	var lost []string
	for name := range acknowledged {
		if there[name] != 1 || pushed[name] != 1 {
			lost = append(lost, fmt.Sprintf("%s: %d times, %d events", name, there[name], pushed[name]))
		}
	}
	if slices.Sort(lost); len(lost) > 0 {
		t.Fatalf("of %d: %s", len(acknowledged), strings.Join(lost, "; "))
	}
}
