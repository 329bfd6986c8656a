package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Act is what was done to a reference.
type Act string

// The closed set of acts.
const (
	ActPush   Act = "push"
	ActDelete Act = "delete"
	ActUntag  Act = "untag" // by a stand-in (see Untag)
)

// Write is what a replica has accepted, for whoever can record it.
type Write struct {
	Act       Act       `json:"act"`
	Reference Reference `json:"reference"`
	Content   Content   `json:"content"`            // of a push
	StandIn   string    `json:"stand_in,omitempty"` // digest, of an untag
	Replica   string    `json:"replica"`
	Holder    string    `json:"holder,omitempty"` // its incarnation, as whoever asks for this knows it
	By        Request   `json:"by"`
}

// Record records a write, as Push, Delete or Untag does, and returns what came of it. What has not begun within that
// time never does; 0: what those take.
func (l *Ledger) Record(w Write, within time.Duration) ([]Entry, error) {
	within = cmp.Or(within, l.patience)
	switch w.Act {
	case ActPush:
		e, err := l.push(w.Reference, w.Content, acceptor{w.Replica, w.Holder}, w.By, within)
		return []Entry{e}, err
	case ActDelete:
		return l.remove(w.Reference, acceptor{w.Replica, w.Holder}, w.By, within)
	case ActUntag:
		return l.untag(w.Reference, w.StandIn, acceptor{w.Replica, w.Holder}, w.By, within)
	}
	return nil, fmt.Errorf("%w: act %q", ErrInvalid, w.Act)
}

// Bounds of having another member record a write.
const (
	mostAsked     = 3           // members, one after another
	recordBound   = time.Second // until the next one is asked
	recordResend  = 250 * time.Millisecond
	mostRecording = 64     // writes of others under way here
	mostRecorded  = 16_384 // writes of others whose outcome is remembered, for as long as a message may be repeated
)

var (
	errNobody  = errors.New("no other gateway is alive")
	errSilence = errors.New("no answer")
	errMany    = errors.New("it records too many for others already")
	errLateFor = errors.New("the request waited too long")
)

// recordRequest asks one member to record a write: another one that gets hold of it must not.
type recordRequest struct {
	ID    uint64 `json:"id"`
	To    string `json:"to"`
	Write Write  `json:"write"`
}

// recordResponse says what came of a request.
type recordResponse struct {
	ID      uint64 `json:"id"`
	Problem string `json:"problem,omitempty"` // "": it is recorded
}

// requestKey: the same request may come twice, and is done once.
type requestKey struct {
	from string
	id   uint64
}

// outcome is of a request.
type outcome struct {
	known   chan struct{} // closed when problem is there
	problem string
}

// Elsewhere has another live member record a write that cannot be recorded here. It returns when that is durable
// there, or after 3 s with why nobody has said so: one of them may have recorded it all the same.
func (g *Gossip) Elsewhere(ctx context.Context, w Write) error {
	w.By = w.By.cut() // one packet holds it
	w.Holder = g.ledger.Holder(w.Replica)
	members := slices.Clone(g.wire.Others())
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	if len(members) == 0 {
		return fmt.Errorf("%w: %w", ErrUnavailable, errNobody)
	}
	var errs []error
	for _, member := range members[:min(len(members), mostAsked)] {
		err := g.request(ctx, member, w)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", member, err))
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(errs...))
}

// request asks one member and waits for its response.
func (g *Gossip) request(ctx context.Context, member string, w Write) error {
	id, responded := rand.Uint64(), make(chan recordResponse, 1)
	g.mu.Lock()
	g.requests[id] = responded
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.requests, id)
		g.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, g.recordBound, errSilence)
	defer cancel()
	resend := time.NewTicker(recordResend) // a packet may be lost
	defer resend.Stop()
	data := marshal(news{Record: &recordRequest{id, member, w}})
	for g.wire.Tell(member, data); ; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-resend.C:
			g.wire.Tell(member, data)
		case r := <-responded:
			if r.Problem != "" {
				return errors.New(r.Problem)
			}
			return nil
		}
	}
}

// responded hands a response to who waits for it.
func (g *Gossip) responded(r recordResponse) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if waits := g.requests[r.ID]; waits != nil {
		delete(g.requests, r.ID)
		waits <- r // there is room for one
	}
}

// record does what another member requests, once, and responds. It does not wait. After most of recordBound nothing is
// begun any more: the other member asks somebody else, and its client may write more upon that.
func (g *Gossip) record(ctx context.Context, running *sync.WaitGroup, from string, r recordRequest, arrived time.Time) {
	if r.To != g.ledger.member {
		return
	}
	key, o := requestKey{from, r.ID}, &outcome{known: make(chan struct{})}
	before, had, _ := g.outcomes.PeekOrAdd(key, o)
	respond := func(problem string) { g.wire.Tell(from, marshal(news{Recorded: &recordResponse{r.ID, problem}})) }
	if had {
		select {
		case <-before.known:
			respond(before.problem)
		default: // it is being done
		}
		return
	}
	if !g.recording.TryAcquire(1) {
		g.outcomes.Remove(key)
		respond(errMany.Error())
		return
	}
	running.Go(func() {
		defer g.recording.Release(1)
		err := errLateFor
		if left := recordBound*3/4 - time.Since(arrived); left > 0 {
			_, err = g.recordHere(r.Write, left)
		}
		if err != nil {
			o.problem = err.Error()
		} else if r.Write.Act != ActPush { // the one that asks cannot learn it
			others := slices.Clone(g.wire.Others())
			g.told(ctx, slices.DeleteFunc(others, func(name string) bool { return name == from }))
		}
		close(o.known)
		respond(o.problem)
	})
}

// recordPrefix is how requests and responses begin, and nothing else.
var recordPrefix = []byte(`{"record`)

func (g *Gossip) answerRecords(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-g.records:
			var n news
			if !g.decode(h, &n) {
				continue
			}
			if n.Record != nil {
				g.record(ctx, &running, h.from, *n.Record, h.at)
			}
			if n.Recorded != nil {
				g.responded(*n.Recorded)
			}
		}
	}
}
