package gateway

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/replication"
)

// leaveEvery is how often it is looked whether a replica that leaves may go.
const leaveEvery = 5 * time.Second

// fleetFile has the replicas that were in force last, so that one that the file has no more is missed after a restart,
// too.
const (
	fleetFile    = "replicas.json"
	maxFleetFile = 4 << 20
	maxKnown     = 512 // as many as a file may have, and as many that leave
)

// known is a replica that was in force.
type known struct {
	Replica configs.Replica `json:"replica"`
	Since   time.Time       `json:"since,omitzero"` // when it began to leave
}

// leaving has the replicas that were in force last, and those that have left.
type leaving struct {
	file string // "": it is not kept
	log  *slog.Logger

	mu    sync.Mutex
	since map[string]time.Time // Guarded by mu; by replica that leaves.
	done  map[string]bool      // Guarded by mu; replicas that need not stay.
	// Guarded by mu; replicas that have left, and whose confirmations are still to be taken back.
	unrenewed []string
}

// openLeaving reads the replicas that were in force last. With a file that is damaged none leaves.
func openLeaving(state string, log *slog.Logger) (*leaving, []configs.Replica) {
	l := &leaving{log: log, since: map[string]time.Time{}, done: map[string]bool{}}
	if state == "" {
		return l, nil
	}
	l.file = filepath.Join(state, fleetFile)
	data, err := os.ReadFile(l.file)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	var list []known
	if err == nil && len(data) > maxFleetFile {
		err = errors.New("it is too large")
	}
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	var replicas []configs.Replica
	for _, k := range list {
		if k.Replica.Name == "" || k.Replica.Upstream == nil || len(replicas) == maxKnown {
			err = errors.New("it has something that is no replica")
			break
		}
		replicas = append(replicas, k.Replica)
		if !k.Since.IsZero() {
			l.since[k.Replica.Name] = k.Since
		}
	}
	if err != nil {
		aside := l.file + ".damaged"
		log.Error("which replicas there were is not known: what only one has that the file has no more is not copied",
			"file", l.file, "error", errors.Join(err, os.Rename(l.file, aside)), "kept_as", aside)
		return l, nil
	}
	return l, replicas
}

// with is a file with those of the replicas before that it has no more, and that are not done with.
func (l *leaving) with(before []configs.Replica, file *configs.Config) *configs.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := *file
	out.Replicas = slices.Clone(file.Replicas)
	for _, r := range before {
		if slices.ContainsFunc(file.Replicas, func(have configs.Replica) bool { return have.Name == r.Name }) {
			delete(l.since, r.Name)
			delete(l.done, r.Name)
			continue
		}
		if l.done[r.Name] {
			continue
		}
		if _, err := r.TLS().Config(); err != nil {
			l.log.Warn("a replica that the file has no more is reached without its TLS files", "replica", r.Name,
				"error", err)
			r.CA, r.ClientCertificate, r.ClientKey = nil, "", ""
		}
		if l.since[r.Name].IsZero() {
			l.since[r.Name] = time.Now()
			l.log.Info("the file has a replica no more: it leaves once nothing is left that only it has",
				"replica", r.Name)
		}
		r.State, r.Home = configs.StateLeaving, false
		out.Replicas = append(out.Replicas, r)
	}
	return &out
}

// remember keeps which replicas are in force.
func (l *leaving) remember(replicas []configs.Replica) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.done { // it is taken away
		if !slices.ContainsFunc(replicas, func(r configs.Replica) bool { return r.Name == name }) {
			delete(l.done, name)
			delete(l.since, name)
		}
	}
	if l.file == "" {
		return
	}
	var list []known
	for _, r := range replicas {
		k := known{Replica: r}
		if r.State == configs.StateLeaving {
			k.Since = l.since[r.Name]
		}
		list = append(list, k)
	}
	data, err := json.Marshal(list)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(l.file), 0o700)
	}
	if err == nil {
		err = writeDurably(l.file, data)
	}
	if err != nil {
		l.log.Warn("which replicas there are cannot be kept: one that the file has no more is not missed after a restart",
			"file", l.file, "error", err)
	}
}

// writeDurably has a file be as it was, or as it is to be, also if the machine stops.
func writeDurably(name string, data []byte) error {
	file, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (l *leaving) began(replica string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since[replica]
}

// withLeaving is what this gateway puts in force of a file: with the replicas that the file has no more, and that are not
// done with. old is what is in force.
func (g *Gateway) withLeaving(old, file *configs.Config) *configs.Config {
	return g.leaving.with(old.Replicas, file)
}

// letGo takes the replicas away that leave and may go.
func (g *Gateway) letGo() {
	for _, name := range g.leaving.takeUnrenewed() {
		g.renew(name)
	}
	for _, r := range g.live.config().Replicas {
		if r.State != configs.StateLeaving {
			continue
		}
		if waits := g.stateOfLeaving(r.Name).WaitsFor(time.Now()); len(waits) == 0 {
			_ = g.letReplicaGo(r.Name, "nothing is left that only it has") // it has said so
		}
	}
}

// letReplicaGo does nothing if an edit has brought the replica back meanwhile.
func (g *Gateway) letReplicaGo(name, why string) error {
	g.file.mu.Lock()
	defer g.file.mu.Unlock()
	if !slices.ContainsFunc(g.live.config().Replicas, func(r configs.Replica) bool {
		return r.Name == name && r.State == configs.StateLeaving
	}) {
		return admin.Problem{Status: 409, Detail: name + " does not leave any more"}
	}
	g.leaving.mu.Lock()
	g.leaving.done[name] = true
	g.leaving.mu.Unlock()
	if err := g.reapply(); err != nil {
		g.leaving.mu.Lock()
		delete(g.leaving.done, name) // else the next edit would take it away, whatever it waits for by then
		g.leaving.mu.Unlock()
		g.log.Error("a replica cannot be taken away; it is tried again", "replica", name, "error", err)
		return err
	}
	g.log.Info("a replica has left", "replica", name, "why", why)
	g.renew(name)
	return nil
}

// renew has a replica that has left be a new one, should the file have it again one day.
func (g *Gateway) renew(name string) {
	if err := g.ledger.Renew(name); err != nil {
		g.log.Warn("what a replica that has left was confirmed to have cannot be forgotten now; it is tried again",
			"replica", name, "error", err)
		g.leaving.noteUnrenewed(name)
	}
}

func (l *leaving) noteUnrenewed(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unrenewed = append(l.unrenewed, name)
}

func (l *leaving) takeUnrenewed() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	names, l.unrenewed = l.unrenewed, nil
	return names
}

// stateOfLeaving reads what a replica in service has not confirmed: all that only the one that leaves has is among it.
func (g *Gateway) stateOfLeaving(name string) replication.Leaving {
	fleet := g.copying.Fleet()
	since := g.leaving.began(name)
	out := replication.Leaving{Since: since, Known: g.copying.Surveyed(name) && g.copying.Current() &&
		g.copying.checkpoint.SurveyedSince(g.ledger.Holder(name), since)}
	out.Leases, out.Uploads = g.proxy.Left(name)
	for _, r := range fleet.Replicas {
		if r.Name == name {
			out.Up = r.Up
		}
	}
	other := fleet.Staying()
	if out.Target = other != nil; other == nil {
		return out
	}
	out.Known = out.Known && g.ledger.Indexed(other.Name)
	for after := ledger.Cursor(""); out.Only+out.LeftOut < maxCounted; {
		page, next, err := g.ledger.Pending(other.Name, after, pageSize)
		for _, e := range page {
			switch only, taken := fleet.OnlyAt(e, name); {
			case only && taken:
				out.Only++
			case only:
				out.LeftOut++
			}
		}
		out.Known = out.Known && err == nil
		if after = next; err != nil || next == "" {
			break
		}
	}
	return out
}

// leavingText is what a replica that leaves waits for; "": it does not leave.
func (g *Gateway) leavingText(r replication.Replica) string {
	if !r.Leaving {
		return ""
	}
	waits := strings.Join(g.stateOfLeaving(r.Name).WaitsFor(time.Now()), "; ")
	return cmp.Or(waits, "nothing more")
}

// deleteReplica takes a replica away that leaves, whatever it waits for.
func (g *Gateway) deleteReplica(name string) error {
	i := slices.IndexFunc(g.live.config().Replicas, func(r configs.Replica) bool { return r.Name == name })
	switch {
	case i < 0:
		return admin.Problem{Status: 404, Detail: "there is no replica " + name}
	case g.live.config().Replicas[i].State != configs.StateLeaving:
		return admin.Problem{Status: 409, Detail: "the file has " + name + ": take it out there first"}
	}
	return g.letReplicaGo(name, "an operator said not to wait")
}
