package main

import (
	"io"
	"sync"
	"time"
)

// How long a push is made to take that goes slowly.
const (
	flipPush = 8 * time.Second
	killPush = 3 * time.Second
	pullTime = 5 * time.Second
)

// pace lets through as much for each push or pull that is under way as makes one last for a time, whatever the number
// of its connections.
type pace struct {
	each int // bytes a second for one push; static after newPace
	most int // bytes at once; static after newPace

	mu     sync.Mutex
	pushes int       // under way; guarded by mu
	free   time.Time // when what was let through will have passed; guarded by mu
}

// smallestMost is how much of a small push passes at once. Of larger ones it is what passes in 5 ms.
const smallestMost = 8 << 10

// newPace makes size bytes last for a time.
func newPace(size int, last time.Duration) *pace {
	each := int(time.Duration(size) * time.Second / last)
	return &pace{each: each, most: max(smallestMost, each/200)}
}

// usualSize is that of an image of usual layers.
const usualSize = layers * (smallest + largest) / 2

func (p *pace) begin() { p.count(1) }
func (p *pace) end()   { p.count(-1) }

func (p *pace) count(by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pushes += by
}

// take is how long to wait before n bytes may pass.
func (p *pace) take(n int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	wait := p.free.Sub(now)
	p.free = p.free.Add(time.Duration(n) * time.Second / time.Duration(p.each*max(1, p.pushes)))
	return wait
}

// reader of a nil pace is not slowed down.
func (p *pace) reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return slowReader{r, p}
}

type slowReader struct {
	io.Reader
	pace *pace
}

func (s slowReader) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b[:min(len(b), s.pace.most)])
	time.Sleep(s.pace.take(n, time.Now()))
	return n, err
}
