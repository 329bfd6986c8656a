package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/upstream/h1"
	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

// extent is which bytes of a blob an answer has.
type extent struct {
	first int64 // the first byte
	end   int64 // behind the last one; -1: not said
	size  int64 // of the whole blob; -1: not said
}

// extentOf is that of an answer which another replica could go on with: of one part, as it is stored.
func extentOf(response *http.Response) (e extent, ok bool) {
	if coding := response.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return extent{}, false
	}
	switch response.StatusCode {
	case http.StatusOK:
		return extent{0, response.ContentLength, response.ContentLength}, true
	case http.StatusPartialContent:
		got, ok := h1.ParseContentRange(response.Header.Get("Content-Range"))
		return extent{got.First, got.Last + 1, got.Size}, ok
	}
	return extent{}, false
}

// blobBody is the body of a blob's GET. Where the replica that it comes from cannot go on, another one does, from the
// same byte and unseen: a digest names its content, and clients verify it.
type blobBody struct {
	// Static.
	x      *exchange
	digest string             // that the answer named; "" if it named none
	first  string             // the replica that the answer came from
	ctx    context.Context    // of all that is asked for the rest
	end    context.CancelFunc // of ctx

	// Written by who reads.
	whole atomic.Pointer[extent] // of the answer
	at    atomic.Int64           // how many of its bytes have been read

	// Owned by who reads.
	stuck stuck
	began time.Time // with the replica that it comes from now
	from  int64     // at, then

	seeks sync.WaitGroup // of seekBeside
	lag   lag            // Owned by watch.

	mu      sync.Mutex
	now     *answerBody // what is read. Guarded by mu: replaced by who reads, ended by watch.
	left    []string    // the replicas that it was taken from, in order. Guarded by mu, as all below.
	slow    int         // how often because they were slow
	leaving leaveReason // why now was ended; "": it was not
	seeking bool        // another replica is looked for
	found   *part       // it was
	closed  bool
}

// outliving makes the body of an answer outlive its replica, if it is a blob's that others may have.
func (x *exchange) outliving(response *http.Response) {
	now, ok := response.Body.(*answerBody)
	whole, fits := extentOf(response)
	if !ok || !fits || x.in.Method != http.MethodGet || !x.target.blob || !x.target.isDigest() ||
		x.proxy.Limits.Resume == 0 {
		return
	}
	b := &blobBody{
		x: x, digest: response.Header.Get(digestHeader), first: now.replica.Name, now: now, began: time.Now(),
	}
	b.whole.Store(&whole)
	b.lag = newLag(b.began, 0)
	b.ctx, b.end = context.WithCancel(x.ctx)
	response.Body = b
	x.progress.blob.Store(b)
}

func (b *blobBody) Read(p []byte) (int, error) {
	for {
		more := b.remaining()
		if more == 0 {
			return 0, io.EOF
		}
		if more > 0 {
			p = p[:min(int64(len(p)), more)]
		}
		n, err := b.now.Read(p)
		b.at.Add(int64(n))
		if n > 0 || err == nil {
			return n, nil // an error stays, and is met again
		}
		if errors.Is(err, io.EOF) && b.remaining() < 0 {
			return 0, io.EOF
		}
		if err = b.goOn(err); err != nil {
			return 0, err
		}
	}
}

// fill is a Read into a pipe. It may take nothing without an error.
func (b *blobBody) fill(pipe *splice.Pipe, most int64) (int, error) {
	n, err := b.now.fill(pipe, min(most, b.remaining()))
	b.at.Add(int64(n))
	if n == 0 && err != nil {
		err = b.goOn(err)
	}
	return n, err
}

func (b *blobBody) spliceable() int64 { return min(b.now.spliceable(), b.remaining()) }
func (b *blobBody) buffered() int     { return b.now.buffered() }

// remaining is how many bytes are to come; -1: not known.
func (b *blobBody) remaining() int64 {
	whole := b.whole.Load()
	if whole.end < 0 {
		return -1
	}
	return whole.end - whole.first - b.at.Load()
}

// stuck is since when a body does not move on.
type stuck struct {
	at    int64     // the byte
	until time.Time // when it is given up
}

// goOn has the rest come from elsewhere, or says why it cannot. An answer that ends too early is one that broke.
func (b *blobBody) goOn(broke error) error {
	x := b.x
	x.progress.phase.Store(int32(resuming))
	defer x.progress.phase.Store(int32(receiving))
	for x.ctx.Err() == nil {
		at := b.at.Load()
		again := !b.stuck.until.IsZero() && at-b.stuck.at < x.proxy.Limits.Least
		if !again {
			b.stuck = stuck{at, time.Now().Add(x.proxy.Limits.Resume)}
		}
		why, next := b.leave()
		if next == nil {
			next = b.seekUntil(at, b.stuck.until, again)
		}
		if next == nil {
			break
		}
		b.switchTo(next, why)
		err := b.skip(next)
		if err == nil {
			return nil
		}
		broke = err
	}
	if errors.Is(broke, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return broke
}

// leave gives up the replica that the body came from, and takes what was found meanwhile.
func (b *blobBody) leave() (why leaveReason, found *part) {
	b.mu.Lock()
	defer b.mu.Unlock()
	why, found = cmp.Or(b.leaving, leaveBroken), b.found
	b.leaving, b.found = "", nil
	if found != nil && found.at > b.at.Load() {
		found.Close()
		found = nil
	}
	return why, found
}

// switchTo reads on from another replica.
func (b *blobBody) switchTo(next *part, why leaveReason) {
	x, now, old, at, whole := b.x, time.Now(), b.now, b.at.Load(), *b.whole.Load()
	old.Close()
	b.noteSpeed(now)
	if why != leaveSlow {
		x.proxy.speeds.leave(old.replica.Name, now)
	}
	b.began, b.from = now, at
	b.mu.Lock()
	if b.found != nil { // while this one was looked for
		b.found.Close()
	}
	b.found, b.leaving = nil, ""
	b.now, b.left = next.answerBody, append(b.left, old.replica.Name)
	if why == leaveSlow {
		b.slow++
	}
	b.mu.Unlock()
	if whole.end < 0 && next.size >= 0 {
		b.whole.Store(&extent{whole.first, next.size, next.size})
	}
	x.progress.asked.Store(next.replica)
	x.proxy.metrics.resumed.WithLabelValues(old.replica.Name, next.replica.Name, string(why)).Inc()
	x.proxy.Log.Info("a pull goes on at another replica", "from", old.replica.Name, "to", next.replica.Name,
		"why", why, "repository", x.target.repository, "digest", x.target.reference, "byte", whole.first+at)
}

// minNoted is from how many bytes on a body says how fast its replica is.
const minNoted = 1 << 20

func (b *blobBody) noteSpeed(now time.Time) {
	n, took := b.at.Load()-b.from, now.Sub(b.began).Seconds()
	if n >= minNoted && took > 0 {
		b.x.proxy.speeds.note(b.now.replica.Name, float64(n)/took, now)
	}
}

// mostSkipped is how many bytes may have come from elsewhere while another replica was asked, for it to be taken.
const mostSkipped = 1 << 20

// skip reads what was had already.
func (b *blobBody) skip(next *part) error {
	if n := b.at.Load() - next.at; n > 0 {
		_, err := io.CopyN(io.Discard, next.answerBody, n)
		return err
	}
	return nil
}

// Close ends the body and all that is asked for its rest.
func (b *blobBody) Close() error {
	b.end()
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.seeks.Wait()
	if b.found != nil {
		b.found.Close()
	}
	b.noteSpeed(time.Now())
	return b.now.Close()
}

// look is told how the exchange is by watch, and has another replica looked for where this one lags.
func (b *blobBody) look(now time.Time, s snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if s.phase != receiving {
		b.lag = newLag(now, b.at.Load())
		return
	}
	others, left := b.x.proxy.speeds.others(b.now.replica.Name, now)
	limits := b.x.proxy.Limits
	next, why := b.lag.look(limits, now, bodySeen{
		moved: b.at.Load(), client: s.client, up: s.up, others: others, left: now.Sub(left) < limits.Still,
	})
	b.lag = next
	if why == "" || why == leaveSlow && b.slow >= mostSlow || b.seeking || b.found != nil {
		return
	}
	b.seeking = true
	from := b.now
	b.seeks.Go(func() { b.seekBeside(from, why) })
}

// seekBeside looks for a replica that can go on, while the body may yet move on by itself.
func (b *blobBody) seekBeside(now *answerBody, why leaveReason) {
	found := b.seek(b.at.Load(), false, time.Now().Add(b.x.proxy.Limits.Resume))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seeking = false
	switch {
	case found == nil:
	case b.closed || b.now != now || b.leaving != "" || b.at.Load()-found.at > mostSkipped:
		found.Close()
	default:
		b.found, b.leaving = found, why
		now.cancel(leftError{why})
	}
}

// abandon ends what the body comes from now, which has not moved for as long as that may be.
func (b *blobBody) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leaving == "" {
		b.leaving = leaveStalled
		b.now.cancel(leftError{leaveStalled})
	}
}

// leftError ends what is read from a replica that was left.
type leftError struct{ why leaveReason }

func (e leftError) Error() string {
	return fmt.Sprintf("the body does not move on (%s), and is asked for elsewhere", e.why)
}

// resumedAt are the replicas that the rest came from.
func (b *blobBody) resumedAt() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.left) == 0 {
		return nil
	}
	return append(append([]string{}, b.left[1:]...), b.now.replica.Name)
}
