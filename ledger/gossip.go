package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"
)

// Bounds of the exchange.
const (
	askEvery = time.Second // one member after another at random: what a packet lost comes so
	newsRows = 100         // of what has just changed here
	pageRows = 500
	maxWaits = 256 // messages that wait to be read
)

// Wire is how gateways reach each other. Its methods do not wait. What they send may be lost.
type Wire interface {
	Tell(member string, data []byte)
	TellAll(data []byte)
	Others() []string // the other members that are alive
}

// Gossip keeps the ledgers of gateways alike.
type Gossip struct {
	// Static after NewGossip.
	ledger  *Ledger
	wire    Wire
	log     *slog.Logger
	inbox   chan heard
	records chan heard // what must not wait behind pages that are written to a disk

	patience    time.Duration // of Told
	recordBound time.Duration // of one member, in Elsewhere
	recordHere  func(w Write, within time.Duration) ([]Entry, error)

	recording *semaphore.Weighted
	outcomes  *lru.Cache[requestKey, *outcome]
	all       sync.WaitGroup // what Run began

	mu       sync.Mutex
	behind   behind                         // Guarded by mu.
	waits    map[*wait]bool                 // Guarded by mu.
	requests map[uint64]chan recordResponse // Guarded by mu; by ID, those to others.
}

type heard struct {
	from string
	data []byte
	at   time.Time
}

// news is what travels: a question about all that the asker does not have, a page, a question about what the other has now, or the
// answer to that, which is Have alone; or a write to record, and what came of it.
type news struct {
	Asks  bool              `json:"asks,omitempty"`
	Have  map[string]uint64 `json:"have,omitempty"`
	Page  json.RawMessage   `json:"page,omitempty"`
	Knows bool              `json:"knows,omitempty"`

	Record   *recordRequest  `json:"record,omitempty"`
	Recorded *recordResponse `json:"recorded,omitempty"`
}

// NewGossip makes a Gossip that begins with Run.
func NewGossip(l *Ledger, w Wire, log *slog.Logger) *Gossip {
	outcomes, err := lru.New[requestKey, *outcome](mostRecorded)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &Gossip{
		ledger: l, wire: w, log: log, inbox: make(chan heard, maxWaits), records: make(chan heard, maxWaits),
		patience: toldBound, recordBound: recordBound, recordHere: l.Record,
		recording: semaphore.NewWeighted(mostRecording), outcomes: outcomes,
		waits: map[*wait]bool{}, requests: map[uint64]chan recordResponse{},
	}
}

// Hear takes what another gateway sent. It does not wait: with too much to read it is dropped, and asked for later.
func (g *Gossip) Hear(from string, data []byte) {
	inbox := g.inbox
	if bytes.HasPrefix(data, recordPrefix) {
		inbox = g.records
	}
	select {
	case inbox <- heard{from, data, time.Now()}:
	default:
	}
}

// Run tells the others what changes here and learns from them, until ctx ends.
func (g *Gossip) Run(ctx context.Context) {
	defer g.all.Wait()
	g.all.Go(func() { g.answerRecords(ctx) })
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	changed := g.ledger.Changed()
	told, err := g.last()
	g.complain(err)
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			changed = g.ledger.Changed()
			told, err = g.announce(told)
			g.complain(err)
		case <-tick.C:
			if others := g.wire.Others(); len(others) > 0 {
				g.ask(others[rand.IntN(len(others))])
			}
			g.catchUp(g.wire.Others(), time.Now())
		case h := <-g.inbox:
			g.read(h)
		}
	}
}

// last is the number of our own last change.
func (g *Gossip) last() (n uint64, err error) {
	err = g.ledger.read(func(t *tx) { n = t.known(t.origin()) })
	return n, err
}

// announce tells all what changed here after a change, and returns the number of the last one. What does not fit, and
// what is lost, is asked for.
func (g *Gossip) announce(after uint64) (last uint64, err error) {
	var page Page
	err = g.ledger.read(func(t *tx) {
		vector := t.vector()
		last = t.known(t.origin())
		vector[t.origin()] = max(after+newsRows, last) - newsRows // of more, the newest
		page = t.since(vector, newsRows)
	})
	if err != nil {
		return after, err
	}
	if len(page.Rows) > 0 {
		g.wire.TellAll(marshal(news{Page: page.Encode()}))
	}
	return last, nil
}

func (g *Gossip) ask(member string) {
	vector, err := g.ledger.Vector()
	if err != nil {
		g.complain(err)
		return
	}
	g.wire.Tell(member, marshal(news{Asks: true, Have: vector}))
}

func (g *Gossip) read(h heard) {
	var n news
	if !g.decode(h, &n) {
		return
	}
	lacks := n.Have != nil && g.noted(h.from, n.Have)
	if n.Have != nil {
		g.heardFrom(h.from, n.Have, h.at)
	}
	if n.Asks || lacks {
		g.answer(h.from, n.Have)
	}
	if n.Page != nil {
		g.learn(h.from, n.Page)
	}
	if n.Knows {
		g.say(h.from)
	}
}

func (g *Gossip) decode(h heard, n *news) bool {
	err := json.Unmarshal(h.data, n)
	if err != nil {
		g.log.Warn("news that cannot be read", "from", h.from, "error", err)
	}
	return err == nil
}

func (g *Gossip) answer(member string, vector map[string]uint64) {
	page, err := g.ledger.Since(vector, pageRows)
	if err != nil {
		g.complain(err)
		return
	}
	if len(page.Rows) > 0 {
		g.wire.Tell(member, marshal(news{Page: page.Encode()}))
	}
}

func (g *Gossip) learn(member string, data []byte) {
	page, err := DecodePage(data)
	if err != nil {
		g.log.Warn("news that cannot be read", "from", member, "error", err)
		return
	}
	did, err := g.ledger.Learn(page)
	g.complain(err)
	if did.Refused > 0 {
		g.log.Warn("news that is not to be believed", "from", member, "entries", did.Refused)
	}
	if did.Conflicts > 0 {
		g.log.Info("tags were written on two sides at once: the later write holds", "tags", did.Conflicts)
	}
	if page.More && err == nil {
		g.ask(member)
	}
}

// complain leaves it to the ledger to say that it is not available: here that comes up every second.
func (g *Gossip) complain(err error) {
	if err != nil && !errors.Is(err, ErrUnavailable) {
		g.log.Warn("the record of pushes and deletions cannot be exchanged", "error", err)
	}
}
