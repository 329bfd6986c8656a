package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

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

// Geo is where addresses are, and in which order the replicas are for them: by the file's networks, then by its databases, or
// by the table that is built in where it names none.
type Geo struct {
	// Static after NewGeo.
	files     []string
	databases *mmdb.Watched // nil: the table is built in
	networks  *geo.Networks
	replicas  []router.Replica
	loads     *prometheus.CounterVec

	report geo.Report // of the databases; run's goroutine's once that runs

	now atomic.Pointer[geoSnapshot]
}

// geoSnapshot is what one table comes to.
type geoSnapshot struct {
	table  *geo.Table
	places geo.Locator
	orders *router.Map
}

// NewGeo reads the databases that the file names. The error says which it cannot use, and why. A registerer may be nil.
func NewGeo(c *configs.Config, reg prometheus.Registerer) (*Geo, error) {
	networks := make([]geo.Network, len(c.Geo.Networks))
	for i, n := range c.Geo.Networks {
		networks[i] = geo.Network{Prefix: n.Network, Point: n.Place.Point, Country: n.Place.Country}
	}
	g := &Geo{files: c.Geo.Databases, networks: geo.NewNetworks(networks), replicas: Replicas(c)}
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
	if len(g.files) == 0 {
		g.use(world.Table())
		return g, nil
	}
	g.databases = mmdb.NewWatched(0, g.files...)
	t, report, err := g.databases.Load()
	if err != nil {
		return nil, fmt.Errorf("geo.database: %w", err)
	}
	g.report = report
	g.use(t)
	return g, nil
}

func (g *Geo) use(t *geo.Table) {
	g.now.Store(&geoSnapshot{t, geo.Locator{Networks: g.networks, Database: t.Locate}, router.NewMap(g.replicas, g.networks, t)})
	// Of what a table takes while it is made, up to 200 MB, a tenth stays. Until the next collections, minutes later, all of it would
	// count against what a container may have, and this takes 20 ms.
	debug.FreeOSMemory()
}

// Orders are those of the moment: a database may be replaced while a gateway runs.
func (g *Geo) Orders() *router.Map { return g.now.Load().orders }

// Locate is where an address is taken to be at the moment.
func (g *Geo) Locate(addr netip.Addr) geo.Location { return g.now.Load().places.Locate(addr) }

// From is what an address is placed by, in words.
func (g *Geo) From(source geo.Source) string {
	t := g.now.Load().table
	switch {
	case source == geo.SourceNetworks:
		return "geo.networks of the file"
	case source == geo.SourceNone:
		return ""
	case len(g.files) == 0:
		return t.Name + " of " + t.Built.Format(time.DateOnly) + ", built in"
	}
	return t.Name + " of " + t.Built.Format(time.DateOnly) + ", " + strings.Join(g.files, ", ")
}

// run loads the databases anew when their files change. What cannot be read changes nothing.
func (g *Geo) run(ctx context.Context, log *slog.Logger) error {
	g.tell(log)
	if g.databases == nil {
		return nil
	}
	g.databases.Run(ctx, databaseEvery, func(t *geo.Table, report geo.Report) {
		g.use(t)
		g.report = report
		g.loads.WithLabelValues(loadedOK).Inc()
		g.tell(log)
	}, func(err error) {
		g.loads.WithLabelValues(loadFailed).Inc()
		log.Error("the geo database that was there goes on: the new one cannot be used", "error", err)
	})
	return nil
}

func (g *Geo) tell(log *slog.Logger) {
	now := g.now.Load()
	attributes := []any{"table", g.From(geo.SourceDatabase), "places", now.table.Cells(), "orders", now.orders.Orders()}
	if g.databases != nil {
		attributes = append(attributes, "report", g.report.String())
	}
	log.Info("addresses are placed", attributes...)
}
