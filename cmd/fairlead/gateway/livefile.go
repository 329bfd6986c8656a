package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
)

// fileEvery is how often the file is looked at, and all that it names. An edit counts once it is the same at two looks.
const fileEvery = time.Second

// againEvery is how often a file that was refused is tried once more: what it names may have come meanwhile, such as a
// folder, or the end of a database.
const againEvery = 10 * time.Second

// mostTold bounds what one edit puts into the log, and into what is shown of it.
const mostTold = 100

// liveFile is the file that a gateway goes by, which is followed while it runs.
type liveFile struct {
	// Static after newLiveFile.
	watch *configs.Watch // nil: the file is no file, but built in
	loads *prometheus.CounterVec

	mu   sync.Mutex      // Held while the file is read and put in force.
	good *configs.Config // as the file was last right, without what only this gateway adds. Guarded by mu.
	// Guarded by mu: when the file was refused; zero: it was not.
	refused time.Time
	again   bool // the file that is read was refused before. Guarded by mu.

	last    atomic.Pointer[admin.Loaded] // what came of the last reading; never nil
	inForce atomic.Int64                 // since when, in seconds
}

func newLiveFile(c *configs.Config, reg prometheus.Registerer) *liveFile {
	f := &liveFile{good: c}
	if c.Disk() {
		f.watch = configs.NewWatch(c.File)
	}
	now := time.Now()
	f.last.Store(&admin.Loaded{File: c.File, At: now, Result: admin.LoadedUnchanged})
	f.inForce.Store(now.Unix())
	f.loads = promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_config_loads_total",
		Help: "Readings of the file, or of what it names, after a change or when asked. With result=refused the last good one goes on.",
	}, []string{"result"})
	for _, result := range []string{admin.LoadedOK, admin.LoadedUnchanged, admin.LoadedRefused} {
		f.loads.WithLabelValues(result)
	}
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_config_last_load_refused",
		Help: "1 if the file as it is now was refused, and another one is in force.",
	}, func() float64 { return oneIf(f.last.Load().Result == admin.LoadedRefused) })
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_config_needs_restart",
		Help: "1 if the file says something that counts from the next start on.",
	}, func() float64 { return oneIf(len(restarting(f.last.Load().Changes)) > 0) })
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_config_in_force_timestamp_seconds",
		Help: "Since when what is in force is.",
	}, func() float64 { return float64(f.inForce.Load()) })
	return f
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// follow takes edits of the file until ctx ends: also those made between its first reading and now.
func (g *Gateway) follow(ctx context.Context) error {
	if g.file.watch == nil {
		return nil
	}
	g.read(func() (*configs.Config, bool, error) {
		c, err := g.file.watch.Take()
		return c, err != nil || len(g.file.good.ChangesBy(c.Values())) > 0, err
	})
	every(ctx, fileEvery, func() {
		g.read(g.look)
	})
	return nil
}

// look looks whether the file has changed, or is to be tried again. It is called with file.mu.
func (g *Gateway) look() (*configs.Config, bool, error) {
	f := g.file
	c, changed, err := f.watch.Look(time.Now())
	if !changed && !f.refused.IsZero() && time.Since(f.refused) >= againEvery {
		c, f.again, err = f.watch.Again()
		return c, f.again, err
	}
	return c, changed, err
}

// Reload reads the file at once, and says what came of it.
func (g *Gateway) Reload() (admin.Loaded, error) {
	if g.file.watch == nil {
		return admin.Loaded{}, admin.Problem{Status: http.StatusConflict, Detail: "this gateway goes by no file"}
	}
	g.read(func() (*configs.Config, bool, error) {
		c, err := g.file.watch.Take()
		return c, true, err
	})
	return *g.file.last.Load(), nil
}

// reapply puts the last good file in force once more, with what this gateway adds to it now. It is called with file.mu.
func (g *Gateway) reapply() error {
	return g.apply(g.withLeaving(g.live.config(), g.over(g.file.good)))
}

// read takes what look sees, if that is another file than the last one.
func (g *Gateway) read(look func() (c *configs.Config, changed bool, err error)) {
	f := g.file
	f.mu.Lock()
	defer f.mu.Unlock()
	c, changed, err := look()
	if !changed {
		return
	}
	before, again := f.last.Load(), f.again
	f.again = false
	out := g.take(c, err)
	out.File = f.good.File
	f.last.Store(&out)
	f.refused = time.Time{}
	if out.Result == admin.LoadedRefused {
		f.refused = out.At
	}
	if again && slices.Equal(out.Problems, before.Problems) {
		return // it was said
	}
	f.loads.WithLabelValues(out.Result).Inc()
	g.tellLoaded(before, &out)
}

// take puts a file in force, or says why not. What the edit does not concern stays as it is. It is called with file.mu.
func (g *Gateway) take(c *configs.Config, err error) (out admin.Loaded) {
	f := g.file
	out = admin.Loaded{At: time.Now(), Result: admin.LoadedRefused}
	var next *configs.Config
	if err == nil {
		next, err = f.good.Again(c)
	}
	if err != nil {
		out.Problems = problemsOf(err)
		return out
	}
	changes := f.good.ChangesBy(c.Values())
	now := slices.ContainsFunc(changes, func(c configs.Change) bool { return !c.Restart })
	effective := g.withLeaving(g.live.config(), g.over(next))
	if now {
		err = g.apply(effective)
	} else {
		g.live.say(effective)
	}
	if err != nil {
		out.Problems = problemsOf(err)
		return out
	}
	g.warnOverlaid(changes)
	warned := f.good.Warnings()
	f.good = next
	out.Result, out.Changes = admin.LoadedUnchanged, shownChanges(changes)
	if len(changes) > 0 {
		out.Result = admin.LoadedOK
	}
	if now {
		f.inForce.Store(out.At.Unix())
	}
	for _, w := range next.Warnings() {
		if !slices.ContainsFunc(warned, func(p configs.Problem) bool { return p.Field == w.Field && p.Rule == w.Rule }) {
			g.log.Warn(w.String())
		}
	}
	return out
}

// say keeps a file whose lines have moved, and nothing else.
func (l *live) say(c *configs.Config) {
	l.changing.Lock()
	defer l.changing.Unlock()
	l.file.Store(c)
}

// tellLoaded logs what an operator has done.
func (g *Gateway) tellLoaded(before, l *admin.Loaded) {
	for i, p := range l.Problems {
		if i == mostTold {
			g.log.Error("the file is refused for more than that", "problems", len(l.Problems))
			break
		}
		g.log.Error("the file is refused, and what is in force goes on", "file", p.File, "line", p.Line, "field", p.Field,
			"value", p.Value, "rule", p.Rule)
	}
	for i, c := range l.Changes {
		switch {
		case i == mostTold:
			g.log.Info("the file has more changes than that", "changes", len(l.Changes))
			return
		case c.Restart:
			g.log.Warn("a change of the file needs a restart", "field", c.Field, "old", c.Old, "new", c.New)
		default:
			g.log.Info("a change of the file is in force", "field", c.Field, "old", c.Old, "new", c.New)
		}
	}
	switch {
	case l.Result == admin.LoadedRefused:
	case before.Result == admin.LoadedRefused:
		g.log.Info("the file is right again", "changes", len(l.Changes))
	case l.Result == admin.LoadedUnchanged:
		g.log.Info("the file was read again, and says what is in force")
	}
}

// problemsOf says each thing that is wrong with a file.
func problemsOf(err error) (out []admin.ConfigProblem) {
	var problems configs.Problems
	if !errors.As(err, &problems) {
		return []admin.ConfigProblem{{Rule: err.Error()}}
	}
	for _, p := range problems {
		out = append(out, admin.ConfigProblem(p))
	}
	return out
}

func shownChanges(changes []configs.Change) []admin.ConfigChange {
	out := make([]admin.ConfigChange, len(changes))
	for i, c := range changes {
		out[i] = admin.ConfigChange(c)
	}
	return out
}

// restarting are the changes that count from the next start on.
func restarting(changes []admin.ConfigChange) []admin.ConfigChange {
	return slices.DeleteFunc(slices.Clone(changes), func(c admin.ConfigChange) bool { return !c.Restart })
}

// fileCheck is what an operator should know of the file. It keeps nobody from being ready: the last good one goes on.
// Values are not shown: who is ready is asked by many.
func (f *liveFile) fileCheck() admin.Check {
	l := f.last.Load()
	var notes []string
	for _, p := range l.Problems {
		notes = append(notes, p.Place()+": "+p.Rule)
	}
	for _, c := range restarting(l.Changes) {
		notes = append(notes, "needs a restart: "+c.Field)
	}
	if more := len(notes) - mostTold; more > 0 {
		notes = append(notes[:mostTold], fmt.Sprintf("%d more", more))
	}
	return admin.Check{Name: "what the file says is in force", Note: strings.Join(notes, "; ")}
}

// inForce is what is in force.
func (g *Gateway) inForce() admin.InForce {
	out := admin.InForce{Since: time.Unix(g.file.inForce.Load(), 0), Last: *g.file.last.Load()}
	for _, v := range g.live.config().Values() {
		out.Values = append(out.Values, admin.ConfigValue{Field: v.Field, Value: v.Shown(), From: v.From})
	}
	return out
}

// compare says what another file would change.
func (g *Gateway) compare(with []admin.ConfigGiven) []admin.ConfigChange {
	values := make([]configs.Value, len(with))
	for i, v := range with {
		values[i] = configs.Value(v)
	}
	g.file.mu.Lock()
	good := g.file.good
	g.file.mu.Unlock()
	return shownChanges(good.ChangesBy(values))
}
