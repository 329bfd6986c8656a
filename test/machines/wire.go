package machines

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// wire carries packets from each machine to the others.
type wire struct {
	// Static after newWire.
	ends []*os.File
	all  sync.WaitGroup

	delay atomic.Int64    // nanoseconds
	cut   [][]atomic.Bool // from, to
}

const (
	mtu       = 1500 // bytes
	maxQueued = 8192 // packets from one machine that are under way; more are lost, as on any wire
)

// packet is one under way.
type packet struct {
	due  time.Time
	to   int
	data []byte
}

func newWire(ends []*os.File) *wire {
	w := &wire{ends: ends, cut: make([][]atomic.Bool, len(ends))}
	for i := range ends {
		w.cut[i] = make([]atomic.Bool, len(ends))
		underWay := make(chan packet, maxQueued)
		w.all.Go(func() { w.read(i, underWay) })
		w.all.Go(func() { w.carry(underWay) })
	}
	return w
}

// read takes what machine from sends, until its end is closed.
func (w *wire) read(from int, underWay chan<- packet) {
	defer close(underWay)
	for {
		data := make([]byte, mtu)
		n, err := w.ends[from].Read(data)
		if err != nil {
			return
		}
		to, ok := destination(data[:n])
		if !ok || to >= len(w.ends) || w.cut[from][to].Load() {
			continue
		}
		select {
		case underWay <- packet{time.Now().Add(time.Duration(w.delay.Load())), to, data[:n]}:
		default:
		}
	}
}

func (w *wire) carry(underWay <-chan packet) {
	for p := range underWay {
		time.Sleep(time.Until(p.due))
		_, _ = w.ends[p.to].Write(p.data) // a machine that is gone hears nothing
	}
}

func (w *wire) close() {
	for _, e := range w.ends {
		_ = e.Close()
	}
	w.all.Wait()
}

// destination is the number of the machine that an IPv4 packet (RFC 791 §3.1) is for.
func destination(data []byte) (machine int, ok bool) {
	if len(data) < 20 || data[0]>>4 != 4 {
		return 0, false
	}
	return int(data[18]), true
}
