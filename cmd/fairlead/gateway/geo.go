package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/geo/mmdb"
	"github.com/fairlead-gateway/fairlead/geo/world"
	"github.com/fairlead-gateway/fairlead/router"
)

// databaseEvery is how often the files of geo databases are looked at.
const databaseEvery = 5 * time.Second

// How loading a database anew ended.
const (
	loadedOK   = "ok"
	loadFailed = "error"
)

// Geo is where addresses are, and in which order the replicas are for them: by the file's networks, then by its
// databases, or by the table that is built in where it names none.
type Geo struct {
	// Static after NewGeo.
	loads *prometheus.CounterVec

	mu     sync.Mutex    // Held while what is in force is replaced.
	source *geoSource    // Guarded by mu, as all below.
	placed geoSettings   // what now was made of, beside the table
	failed string        // why a database that was replaced cannot be used; "": it can
	others chan struct{} // closed when the file names other databases

	now atomic.Pointer[geoSnapshot]
}

// geoSource are the databases that the file names.
type geoSource struct {
	files     []string
	databases *mmdb.Watched // nil: the table is built in. run's goroutine's, once that runs
}

// geoSettings are what the file says of addresses, and of where replicas are.
type geoSettings struct {
	networks *geo.Networks
	replicas []router.Replica
	given    []configs.Network // what networks was made of
}

// geoSnapshot is what one table comes to.
type geoSnapshot struct {
	table  *geo.Table
	files  []string
	report geo.Report // of the databases
	places geo.Locator
	orders *router.Map
}

// NewGeo reads the databases that the file names. The error says which it cannot use, and why. A registerer may be nil.
func NewGeo(c *configs.Config, reg prometheus.Registerer) (*Geo, error) {
	g := &Geo{others: make(chan struct{})}
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_geo_table_built_timestamp_seconds",
		Help: "When the geo database was built that addresses are placed by.",
	}, func() float64 { return float64(g.now.Load().table.Built.Unix()) })
	g.loads = promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_geo_loads_total",
		Help: "Geo databases that were loaded after their files had changed; with result=error the former one goes on.",
	}, []string{"result"})
	for _, result := range []string{loadedOK, loadFailed} {
		g.loads.WithLabelValues(result)
	}
	source, table, report, err := openDatabases(c.Geo.Databases)
	if err != nil {
		return nil, err
	}
	g.source, g.placed = source, settingsOfGeo(c)
	g.use(table, report)
	return g, nil
}

func openDatabases(files []string) (s *geoSource, t *geo.Table, report geo.Report, err error) {
	s = &geoSource{files: files}
	if len(files) == 0 {
		return s, world.Table(), report, nil
	}
	s.databases = mmdb.NewWatched(0, files...)
	if t, report, err = s.databases.Load(); err != nil {
		return nil, nil, report, fmt.Errorf("geo.database: %w", err)
	}
	return s, t, report, nil
}

func settingsOfGeo(c *configs.Config) geoSettings {
	networks := make([]geo.Network, len(c.Geo.Networks))
	for i, n := range c.Geo.Networks {
		networks[i] = geo.Network{Prefix: n.Network, Point: n.Place.Point, Country: n.Place.Country}
	}
	return geoSettings{geo.NewNetworks(networks), Replicas(c), c.Geo.Networks}
}

// sameOrders reports whether both come to the same of the same table. What is up, and who takes writes, is no matter.
func (s geoSettings) sameOrders(o geoSettings) bool {
	return slices.Equal(s.given, o.given) && slices.EqualFunc(s.replicas, o.replicas, func(a, b router.Replica) bool {
		return a.Name == b.Name && a.Point == b.Point && a.Country == b.Country && a.Bias == b.Bias && a.Home == b.Home
	})
}

func snapshot(t *geo.Table, files []string, report geo.Report, of geoSettings) *geoSnapshot {
	return &geoSnapshot{t, files, report, geo.Locator{Networks: of.networks, Database: t.Locate},
		router.NewMap(of.replicas, of.networks, t)}
}

// use puts a table in force. It is called with mu, or before anybody else has g.
func (g *Geo) use(t *geo.Table, report geo.Report) {
	g.now.Store(snapshot(t, g.source.files, report, g.placed))
	g.failed = ""
	// Of what a table takes while it is made, up to 200 MB, a tenth stays. Until the next collections, minutes later,
	// all of it would count against what a container may have, and this takes 20 ms.
	debug.FreeOSMemory()
}

// Prepare makes what another file comes to. Until swap is called nothing has changed; then all has at once.
func (g *Geo) Prepare(c *configs.Config) (swap func(), err error) {
	g.mu.Lock()
	source, table, placed := g.source, g.now.Load(), g.placed
	g.mu.Unlock()
	next, opened := settingsOfGeo(c), !slices.Equal(source.files, c.Geo.Databases)
	if !opened && next.sameOrders(placed) {
		return func() {}, nil
	}
	t, report := table.table, table.report
	if opened {
		if source, t, report, err = openDatabases(c.Geo.Databases); err != nil {
			return nil, err
		}
	}
	made := snapshot(t, source.files, report, next)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if now := g.now.Load(); !opened && now.table != t { // a database was replaced meanwhile
			made = snapshot(now.table, now.files, now.report, next)
		}
		g.placed = next
		g.now.Store(made)
		if opened {
			g.source, g.failed = source, ""
			close(g.others)
			g.others = make(chan struct{})
			debug.FreeOSMemory()
		}
	}, nil
}

// Orders are those of the moment: a database may be replaced while a gateway runs.
func (g *Geo) Orders() *router.Map { return g.now.Load().orders }

// Locate is where an address is taken to be at the moment.
func (g *Geo) Locate(addr netip.Addr) geo.Location { return g.now.Load().places.Locate(addr) }

// From is what an address is placed by, in words.
func (g *Geo) From(source geo.Source) string {
	now := g.now.Load()
	t := now.table
	switch {
	case source == geo.SourceNetworks:
		return "geo.networks of the file"
	case source == geo.SourceNone:
		return ""
	case len(now.files) == 0:
		return t.Name + " of " + t.Built.Format(time.DateOnly) + ", built in"
	}
	return t.Name + " of " + t.Built.Format(time.DateOnly) + ", " + strings.Join(now.files, ", ")
}

// run loads the databases anew when their files change, until ctx ends. What cannot be read changes nothing.
func (g *Geo) run(ctx context.Context, log *slog.Logger) error {
	for ctx.Err() == nil {
		g.mu.Lock()
		source, others := g.source, g.others
		g.mu.Unlock()
		g.tell(log)
		until, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-others:
				cancel()
			case <-until.Done():
			}
		}()
		g.watch(until, source, log)
		cancel()
	}
	return nil
}

// watch follows the files of one source until ctx ends.
func (g *Geo) watch(ctx context.Context, source *geoSource, log *slog.Logger) {
	if source.databases == nil {
		<-ctx.Done()
		return
	}
	source.databases.Run(ctx, databaseEvery, func(t *geo.Table, report geo.Report) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.source != source {
			return // the file names others by now
		}
		g.use(t, report)
		g.loads.WithLabelValues(loadedOK).Inc()
		g.tell(log)
	}, func(err error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.source != source {
			return
		}
		g.failed = err.Error()
		g.loads.WithLabelValues(loadFailed).Inc()
		log.Error("the geo database that was there goes on: the new one cannot be used", "error", err)
	})
}

// check says what an operator should know of the databases: the last good ones go on.
func (g *Geo) check() admin.Check {
	g.mu.Lock()
	defer g.mu.Unlock()
	return admin.Check{Name: "the geo database that is there is in force", Note: g.failed}
}

func (g *Geo) tell(log *slog.Logger) {
	now := g.now.Load()
	attributes := []any{"table", g.From(geo.SourceDatabase), "places", now.table.Cells(), "orders", now.orders.Orders()}
	if len(now.files) > 0 {
		attributes = append(attributes, "report", now.report.String())
	}
	log.Info("addresses are placed", attributes...)
}
