package proxy

import (
	"context"
	"errors"
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
//
// It is ended in two ways. Who reads meets an error, and has the rest asked for (goOn). Or watch sees that the replica
// lags (look): others are asked beside it, and when one has the rest, the body is ended, so that who reads meets an
// error, and finds what was found.
type blobBody struct {
	// Static.
	x      *exchange
	digest string             // of the blob, as the client got it
	first  string             // the replica that the answer came from
	ctx    context.Context    // of all that is asked for the rest
	end    context.CancelFunc // of ctx

	// Written by who reads.
	whole atomic.Pointer[extent] // of the answer
	at    atomic.Int64           // how many of its bytes have been read

	// Owned by who reads.
	stuck     stuck
	began     time.Time // with the replica that it comes from now
	from      int64     // at, then
	tell      func()    // of the replica that goes on, once a byte has come of it; nil: it was told
	resumedAt []string  // the replicas that the rest came from, in order

	seeks sync.WaitGroup // of seekBeside

	mu        sync.Mutex
	now       *answerBody // what is read. Guarded by mu: replaced by who reads, ended by watch.
	left      []string    // the replicas that it was taken from, in order. Guarded by mu, as all below.
	lag       lag
	slow      int         // how often it was taken from one because that was slow
	leaving   leaveReason // why now was ended; "": it was not
	seeking   bool        // another replica is looked for
	found     *restBody   // it was
	notBefore time.Time   // others are asked beside it
	pause     time.Duration
	rangeless []string // the replicas that know no ranges
	closed    bool
}

// outliving makes the body of an answer outlive its replica, if it is a blob's that others may have.
func (x *exchange) outliving(response *http.Response) {
	now, ok := response.Body.(*answerBody)
	whole, fits := extentOf(response)
	if !ok || !fits || x.in.Method != http.MethodGet || !x.target.blob || !x.target.isDigest() ||
		x.settings.Limits.Resume == 0 {
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
			return 0, b.finish()
		}
		if more > 0 {
			p = p[:min(int64(len(p)), more)]
		}
		n, err := b.now.Read(p)
		b.took(n)
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

var errBodyTooLong = errors.New("the replica's answer is longer than it said")

// finish reads the end of a body of which all bytes have come: its last chunk, its trailers.
func (b *blobBody) finish() error {
	if b.now.cropped {
		return io.EOF
	}
	if n, _ := b.now.Read(make([]byte, 1)); n > 0 {
		return errBodyTooLong
	}
	return io.EOF
}

// fill is a Read into a pipe. It may take nothing without an error.
func (b *blobBody) fill(pipe *splice.Pipe, most int64) (int, error) {
	n, err := b.now.fill(pipe, min(most, b.remaining()))
	b.took(n)
	if n == 0 && err != nil {
		err = b.goOn(err)
	}
	return n, err
}

func (b *blobBody) spliceable() int64 { return min(b.now.spliceable(), b.remaining()) }
func (b *blobBody) buffered() int     { return b.now.buffered() }

func (b *blobBody) took(n int) {
	b.at.Add(int64(n))
	if n > 0 && b.tell != nil {
		b.tell()
		b.tell = nil
	}
}

// remaining is how many bytes are to come; -1: not known.
func (b *blobBody) remaining() int64 {
	whole := b.whole.Load()
	if whole.end < 0 {
		return -1
	}
	return whole.end - whole.first - b.at.Load()
}

// stuck is what was spent on a body since it has moved on by Least bytes.
type stuck struct {
	at       int64         // the byte
	asked    time.Duration // on asking for the rest
	pause    time.Duration // before it is asked for again
	switches int
}

// mostSwitches is how often a body that does not move on goes on elsewhere.
const mostSwitches = 16

// goOn has the rest come from elsewhere, or says why it cannot. An answer that ends too early is one that broke.
func (b *blobBody) goOn(broke error) error {
	x := b.x
	if errors.Is(broke, errDamaged) { // so may be what the client has already
		return broke
	}
	b.now.Close() // so that its place at the replica is free
	x.progress.phase.Store(int32(resuming))
	defer x.progress.phase.Store(int32(receiving))
	for x.ctx.Err() == nil {
		began := time.Now()
		if at := b.at.Load(); b.stuck.switches == 0 || at-b.stuck.at >= x.settings.Limits.Least {
			b.stuck = stuck{at: at}
		}
		until := began.Add(x.settings.Limits.Resume - b.stuck.asked)
		why, next, ended := b.seekUntil(until)
		if ended && !errors.Is(broke, errCutShort) {
			b.endHere()
			return nil
		}
		if next == nil || b.stuck.switches == mostSwitches {
			next.drop()
			break
		}
		b.switchTo(next, why)
		err := b.skip(next, until)
		b.stuck.asked += time.Since(began)
		b.stuck.switches++
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

// endHere is for a body that has come whole, and whose end was lost.
func (b *blobBody) endHere() {
	whole := *b.whole.Load()
	whole.end = whole.first + b.at.Load()
	b.whole.Store(&whole)
	b.now.cropped = true
}

// takeFound is what was found beside it; nil: nothing that is of use.
func (b *blobBody) takeFound() *restBody {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := b.found
	b.found = nil
	if found != nil && found.at > b.at.Load() {
		found.drop()
		return nil
	}
	return found
}

// reason is why the replica is left.
func (b *blobBody) reason() leaveReason {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leaving != "" {
		return b.leaving
	}
	return leaveBroken
}

// switchTo reads on from another replica.
func (b *blobBody) switchTo(next *restBody, why leaveReason) {
	x, now, old, at, whole := b.x, time.Now(), b.now, b.at.Load(), *b.whole.Load()
	old.Close()
	b.mu.Lock()
	if why == leaveSlow {
		b.slow++
		x.proxy.speeds.note(old.replica.Name, b.lag.rate, now)
	}
	b.found.drop() // while this one was looked for
	b.found, b.leaving, b.notBefore, b.pause = nil, "", time.Time{}, 0
	b.now, b.left, b.lag = next.answerBody, append(b.left, old.replica.Name), newLag(now, at)
	b.mu.Unlock()
	if why != leaveSlow {
		b.noteSpeed(old.replica.Name, now)
		x.proxy.speeds.leave(old.replica.Name, now)
	}
	b.began, b.from = now, at
	if whole.end < 0 && next.size >= 0 {
		b.whole.Store(&extent{whole.first, next.size, next.size})
	}
	x.progress.asked.Store(next.replica)
	b.tell = func() {
		b.resumedAt = append(b.resumedAt, next.replica.Name)
		x.proxy.metrics.resumed.inc(old.replica.Name, next.replica.Name, string(why))
		x.proxy.Log.Info("a pull goes on at another replica", "from", old.replica.Name, "to", next.replica.Name,
			"why", why, "repository", x.target.repository, "digest", x.target.reference, "byte", whole.first+at)
	}
}

// minNoted is from how many bytes on a body says how fast its replica is.
const minNoted = 1 << 20

func (b *blobBody) noteSpeed(replica string, now time.Time) {
	n, took := b.at.Load()-b.from, now.Sub(b.began).Seconds()
	if n >= minNoted && took > 0 {
		b.x.proxy.speeds.note(replica, float64(n)/took, now)
	}
}

// skip reads what was had already.
func (b *blobBody) skip(next *restBody, until time.Time) error {
	n := b.at.Load() - next.at
	if n == 0 {
		return nil
	}
	timer := time.AfterFunc(time.Until(until), func() { next.cancel(errNoAnswer) })
	defer timer.Stop()
	_, err := io.CopyN(io.Discard, next.answerBody, n)
	return err
}

// Close ends the body and all that is asked for its rest.
func (b *blobBody) Close() error {
	b.end()
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.seeks.Wait()
	b.found.drop()
	b.noteSpeed(b.now.replica.Name, time.Now())
	return b.now.Close()
}
