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

// Atlas is where addresses are, and in which order the replicas are for them: by the file's networks, then by its databases, or
// by the table that is built in where it names none.
type Atlas struct {
	// Static after NewAtlas.
	files     []string
	databases *mmdb.Watched // nil: the table is built in
	networks  *geo.Networks
	replicas  []router.Replica
	loaded    prometheus.Counter // static after measured
	failed    prometheus.Counter

	report geo.Report // of the databases; run's goroutine's once that runs

	now atomic.Pointer[placing]
}

// placing is what one table comes to.
type placing struct {
	table  *geo.Table
	places geo.Locator
	orders *router.Map
}

// NewAtlas reads the databases that the file names. The error says which it cannot use, and why.
func NewAtlas(c *configs.Config) (*Atlas, error) {
	networks := make([]geo.Network, len(c.Geo.Networks))
	for i, n := range c.Geo.Networks {
		networks[i] = geo.Network{Prefix: n.Network, Point: n.Place.Point, Country: n.Place.Country}
	}
	a := &Atlas{files: c.Geo.Databases, networks: geo.NewNetworks(networks), replicas: Replicas(c)}
	if len(a.files) == 0 {
		a.use(world.Table())
		return a, nil
	}
	a.databases = mmdb.NewWatched(0, a.files...)
	t, report, err := a.databases.Load()
	if err != nil {
		return nil, fmt.Errorf("geo.database: %w", err)
	}
	a.report = report
	a.use(t)
	return a, nil
}

func (a *Atlas) use(t *geo.Table) {
	a.now.Store(&placing{t, geo.Locator{Networks: a.networks, Database: t.Locate}, router.NewMap(a.replicas, a.networks, t)})
	// Of what a table takes while it is made, up to 200 MB, a tenth stays. Until the next collections, minutes later, all of it would
	// count against what a container may have, and this takes 20 ms.
	debug.FreeOSMemory()
}

// Orders are those of the moment: a database may be replaced while a gateway runs.
func (a *Atlas) Orders() *router.Map { return a.now.Load().orders }

// Locate is where an address is taken to be at the moment.
func (a *Atlas) Locate(addr netip.Addr) geo.Location { return a.now.Load().places.Locate(addr) }

// From is what an address is placed by, in words.
func (a *Atlas) From(source geo.Source) string {
	t := a.now.Load().table
	switch {
	case source == geo.SourceNetworks:
		return "geo.networks of the file"
	case source == geo.SourceNone:
		return ""
	case len(a.files) == 0:
		return t.Name + " of " + t.Built.Format(time.DateOnly) + ", built in"
	}
	return t.Name + " of " + t.Built.Format(time.DateOnly) + ", " + strings.Join(a.files, ", ")
}

// measured has the metrics, and the counters that run needs.
func (a *Atlas) measured(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_geo_table_built_timestamp_seconds", Help: "When the geo database was built that addresses are placed by.",
	}, func() float64 { return float64(a.now.Load().table.Built.Unix()) })
	loads := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_geo_loads_total", Help: "Geo databases that were loaded after their files had changed; with result=error the former one goes on.",
	}, []string{"result"})
	a.loaded, a.failed = loads.WithLabelValues("ok"), loads.WithLabelValues("error")
}

// run loads the databases anew when their files change. What cannot be read changes nothing.
func (a *Atlas) run(ctx context.Context, log *slog.Logger) error {
	a.tell(log)
	if a.databases == nil {
		return nil
	}
	a.databases.Run(ctx, databaseEvery, func(t *geo.Table, report geo.Report) {
		a.use(t)
		a.report = report
		a.loaded.Inc()
		a.tell(log)
	}, func(err error) {
		a.failed.Inc()
		log.Error("the geo database that was there goes on: the new one cannot be used", "error", err)
	})
	return nil
}

func (a *Atlas) tell(log *slog.Logger) {
	now := a.now.Load()
	attributes := []any{"table", a.From(geo.SourceDatabase), "places", now.table.Cells(), "orders", now.orders.Orders()}
	if a.databases != nil {
		attributes = append(attributes, "report", a.report.String())
	}
	log.Info("addresses are placed", attributes...)
}
