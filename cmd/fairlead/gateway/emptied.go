package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/replication"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// Bounds of looking whether a replica still has what it had.
const (
	sampled     = 8                // names
	sampleBound = 15 * time.Second // for all of them
	renewPause  = time.Minute      // after which a replica may be taken for another registry once more
)

// looked is what is known of one replica.
type looked struct {
	met     bool // it was seen in this run: before that nobody has watched it
	away    bool // it was down, or nobody watched it, since it was last looked at
	suspect bool // it answered 404 for what it had
	renewed time.Time
}

// emptied finds replicas whose registry was emptied, or made anew, under the same name and address: when they come up,
// and when they lack what they had.
type emptied struct {
	*copying
	mu       sync.Mutex
	replicas map[string]*looked // Guarded by mu; by replica.
}

func newEmptied(c *copying) *emptied { return &emptied{copying: c, replicas: map[string]*looked{}} }

// of is called with mu.
func (e *emptied) of(replica string) *looked {
	if e.replicas[replica] == nil {
		e.replicas[replica] = &looked{}
	}
	return e.replicas[replica]
}

// suspect has it looked at whether a replica has lost more than what it answered 404 for.
func (e *emptied) suspect(replica string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.of(replica).suspect = true
}

// trusts reports whether a replica was looked at since it was away, or since the start. One that is down is what it
// was.
func (e *emptied) trusts(r replication.Replica) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	have := e.replicas[r.Name]
	return !r.Up || have != nil && have.met && !have.away
}

// look looks at the replicas that were away, and at those that are suspect.
func (e *emptied) look(ctx context.Context) {
	fleet := e.Fleet()
	served := fleet.Served()
	e.mu.Lock()
	for name := range e.replicas {
		if !slices.ContainsFunc(fleet.Replicas, func(r replication.Replica) bool { return r.Name == name }) {
			delete(e.replicas, name)
		}
	}
	e.mu.Unlock()
	for _, r := range fleet.Replicas {
		e.mu.Lock()
		have := e.of(r.Name)
		if !r.Up || !have.met {
			have.met, have.away = true, slices.Contains(served, r.Name)
		}
		due := r.Up && (have.away || have.suspect) && time.Since(have.renewed) >= renewPause && e.Current()
		was := *have
		e.mu.Unlock()
		if !due {
			continue
		}
		has, lost, err := e.ask(ctx, r.Name, fleet)
		if err != nil {
			continue // it is asked again
		}
		renew := replication.Emptied(has, lost, was.away)
		if renew {
			e.log.Warn("a replica has lost what it had: it counts as a new registry, and is filled anew",
				"replica", r.Name, "asked", has+lost, "lost", lost)
			if err := e.ledger.Renew(r.Name); err != nil {
				e.log.Warn("that a replica is a new registry cannot be recorded; it is tried again", "replica", r.Name,
					"error", err)
				continue
			}
		}
		e.mu.Lock()
		have.away, have.suspect = false, false
		if renew {
			have.renewed = time.Now()
		}
		e.mu.Unlock()
	}
}

// ask asks a replica for some names that it had. Where others may delete without the ledger hearing of it, what no other
// replica has either is not counted.
func (e *emptied) ask(ctx context.Context, replica string, fleet replication.Fleet) (has, lost int, err error) {
	ctx, cancel := context.WithTimeout(ctx, sampleBound)
	defer cancel()
	names, err := e.ledger.Sample(replica, sampled)
	if err != nil {
		return 0, 0, err
	}
	for _, what := range names {
		there, err := e.has(ctx, replica, what)
		switch {
		case transfer.Refused(err): // we have no login there: that says nothing
		case err != nil:
			return has, lost, err
		case there:
			has++
		case !e.UnseenDeletes || e.elsewhere(ctx, replica, what, fleet):
			lost++
		}
	}
	return has, lost, nil
}

func (e *emptied) elsewhere(ctx context.Context, replica string, what ledger.Entry, fleet replication.Fleet) bool {
	return slices.ContainsFunc(fleet.Replicas, func(r replication.Replica) bool {
		if r.Name == replica || !r.Up || r.Offline || !slices.Contains(what.Confirmed, r.Name) {
			return false
		}
		there, err := e.has(ctx, r.Name, what)
		return err == nil && there
	})
}

func (e *emptied) has(ctx context.Context, replica string, what ledger.Entry) (bool, error) {
	_, there, err := e.Reach(replica).Repository(what.Repository).Look(ctx, what.Name)
	return there, err
}
