package test

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A bound is for a machine that is idle, and as fast as the one that the bounds were chosen on. A test that waits
// longer because the machine is slow, or because others keep it busy, has found nothing.

// mostSlowness: no machine is so slow that something that hangs need not be found.
const mostSlowness = 10

// patient is what a bound comes to on this machine, at this moment.
func patient(bound time.Duration) time.Duration {
	return time.Duration(float64(bound) * slowness())
}

// slowness is how many times as long as on an idle machine something takes that wants a processor; at least 1.
func slowness() float64 {
	return min(max(1, cost()*max(1, crowd())), mostSlowness)
}

// usualWork is the processor time that work takes where the bounds were chosen.
const usualWork = 100 * time.Millisecond

// cost is how dear a fixed piece of work is, in processor time: other programs do not count. It is measured once.
var cost = sync.OnceValue(func() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := processorTime()
	x := uint64(1)
	for range 50_000_000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	took := processorTime() - before
	runtime.KeepAlive(x)
	return float64(took) / float64(usualWork)
})

// processorTime is the calling thread's.
func processorTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_THREAD, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// crowd is how many want each processor: over the last minute or at the moment, whichever is more.
func crowd() float64 {
	var minute, five, fifteen, running float64
	file, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 1
	}
	if _, err := fmt.Sscanf(string(file), "%f %f %f %f/", &minute, &five, &fifteen, &running); err != nil {
		return 1
	}
	return max(minute, running) / float64(runtime.GOMAXPROCS(0))
}

// TestPatient: a bound is never shorter than it says, and never without end.
func TestPatient(t *testing.T) {
	if got := patient(time.Second); got < time.Second || got > mostSlowness*time.Second {
		t.Errorf("a second is %v", got)
	}
	t.Logf("figure: the work that bounds are measured in costs %.2f of what is usual, and %.1f programs want each processor", cost(), crowd())
}
