package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// memoryTarget is what a gateway may have had resident at most.
const memoryTarget = 256 << 10 // KiB

// pacedUploads push at once, each over a connection and from an address of its own. None ends before all have begun.
type pacedUploads struct {
	count int
	size  int
	time  time.Duration // that each takes
}

// memory says what uploads that come slowly have a gateway hold.
func (u pacedUploads) memory(ctx context.Context, f *front, b *backend, out io.Writer) error {
	before, err := f.running.memoryKiB("VmRSS")
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	most := watch(&b.bodies, ended)
	err = u.run(ctx, f)
	close(ended)
	at := <-most
	if err != nil {
		return err
	}
	peak, err := f.running.memoryKiB("VmHWM")
	if err != nil {
		return err
	}
	verdict := "pass"
	if peak > memoryTarget {
		verdict = "FAIL"
	}
	fmt.Fprintf(out, "| resident | before | at most | target | |\n| --- | --- | --- | --- | --- |\n"+
		"| %s: %d uploads of %d MiB in %v, at most %d at once | %d MiB | %d MiB | ≤ %d MiB | %s |\n",
		f.setup.scheme(), u.count, u.size>>20, u.time, at, before>>10, peak>>10, memoryTarget>>10, verdict)
	return nil
}

// queue lets uploads begin a few at once.
type queue struct {
	room chan struct{}
	left atomic.Int64  // that have not begun
	all  chan struct{} // closed when all have
}

// opening is how many uploads are begun at once: what is measured is what they hold, not how they begin.
const opening = 8

// run returns when all are committed.
func (u pacedUploads) run(ctx context.Context, f *front) error {
	ctx, stop := context.WithTimeout(ctx, u.time+requestBound)
	defer stop()
	line := queue{room: make(chan struct{}, opening), all: make(chan struct{})}
	line.left.Store(int64(u.count))
	errs := make([]error, u.count)
	var all sync.WaitGroup
	for i := range u.count {
		all.Go(func() {
			if errs[i] = u.one(ctx, f, i, &line); errs[i] != nil {
				stop()
			}
		})
	}
	all.Wait()
	// The others only heard of it.
	err := errors.Join(slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, context.Canceled) })...)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, f.running.output())
	}
	return nil
}

func (u pacedUploads) one(ctx context.Context, f *front, i int, line *queue) error {
	c, location, err := u.begin(ctx, f, net.IPv4(127, 1, byte(i/250), byte(1+i%250)), line)
	if err != nil {
		return err
	}
	defer c.close()
	body := &pacedBody{ctx: ctx, size: u.size, time: u.time, began: time.Now(), all: line.all}
	header, err := c.stream(http.MethodPatch, location, body, int64(u.size), want{http.StatusAccepted, -1, ""},
		u.time+requestBound)
	if err != nil {
		return err
	}
	if location, err = uploadTarget(header); err != nil {
		return err
	}
	return commit(c, location, nil, digestOf(nil)) // the backend believes any
}

// begin connects from an address, and has an upload.
func (u pacedUploads) begin(ctx context.Context, f *front, from net.IP, line *queue) (c *http1Client,
	location string, err error) {
	line.room <- struct{}{}
	defer func() { <-line.room }()
	if c, err = dialFrom(ctx, f, from); err != nil {
		return nil, "", err
	}
	if location, err = beginUpload(c); err != nil {
		c.close()
		return nil, "", err
	}
	if line.left.Add(-1) == 0 {
		close(line.all)
	}
	return c, location, nil
}

// pacedBody gives its bytes out evenly.
type pacedBody struct {
	ctx   context.Context
	size  int
	sent  int
	time  time.Duration // for all of them
	began time.Time
	all   <-chan struct{} // the last bytes are held back until it is closed
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.sent == b.size {
		return 0, io.EOF
	}
	due := b.began.Add(time.Duration(float64(b.time) * float64(b.sent) / float64(b.size)))
	select {
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	case <-time.After(time.Until(due)):
	}
	n := min(len(p), b.size-b.sent)
	if b.sent+n == b.size {
		select {
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		case <-b.all:
		}
	}
	b.sent += n
	return n, nil
}

// watch looks at a count until that has ended, and then says the most.
func watch(count *atomic.Int64, ended <-chan struct{}) <-chan int64 {
	most := make(chan int64, 1)
	go func() {
		var seen int64
		look := time.NewTicker(10 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-ended:
				most <- seen
				return
			case <-look.C:
				seen = max(seen, count.Load())
			}
		}
	}()
	return most
}
