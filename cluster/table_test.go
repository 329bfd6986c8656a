package cluster

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// fullTable has names as long as people's.
func fullTable() *table {
	tab := newTable("gw-westeurope", idle)
	for i := range maxRepositories {
		tab.grant(fmt.Sprintf("team-%04d/some-service-%08d", i%5000, i), "westeurope", false, epoch)
	}
	return tab
}

func BenchmarkDigest(b *testing.B) {
	tab := fullTable()
	b.ReportAllocs()
	for b.Loop() {
		tab.digest(epoch)
	}
}

// BenchmarkWriterWaits is how long a writer waits that comes just when a digest begins.
func BenchmarkWriterWaits(b *testing.B) {
	tab := fullTable()
	var sum, most time.Duration
	for b.Loop() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			tab.digest(epoch)
		}()
		for !closed(done) && tab.mu.TryLock() { // until the digest has it
			tab.mu.Unlock()
			runtime.Gosched()
		}
		begin := time.Now()
		tab.keep("team-0000/some-service-00000000", epoch)
		wait := time.Since(begin)
		sum, most = sum+wait, max(most, wait)
		<-done
	}
	b.ReportMetric(sum.Seconds()*1e3/float64(b.N), "mean-ms")
	b.ReportMetric(most.Seconds()*1e3, "max-ms")
}

func closed(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// A repository that was granted anew since it was found to be needed no more stays.
func TestDropLooksAgain(t *testing.T) {
	tab := newTable("a", idle)
	tab.grant("app", "westus", false, epoch)
	later := epoch.Add(2 * tab.life())
	tab.grant("app", "eastus", false, later)
	if tab.drop("app", later); tab.count() != 1 {
		t.Error("what was granted anew was dropped")
	}
	if tab.drop("app", later.Add(2*tab.life())); tab.count() != 0 {
		t.Error("what nobody needs was kept")
	}
	tab.drop("app", later) // no longer there
}
