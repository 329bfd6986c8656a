package command

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/cmd/fairlead/gateway"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/router"
)

// explanation is what `fairlead explain -o json` prints: a promise to scripts.
type explanation struct {
	Client string         `json:"client"` // "" with --at
	Place  explainedPlace `json:"place"`  // home's, where source is none
	// the widest prefix in which the order of replicas is this one; "" with --at
	Scope    string             `json:"scope"`
	Replicas []explainedReplica `json:"replicas"`
	Chosen   string             `json:"chosen"`
	Reason   router.Reason      `json:"reason"`
	Lease    *admin.Lease       `json:"lease"`   // null: none holds, or no gateway was asked
	Arbiter  *string            `json:"arbiter"` // null: no gateway was asked; "": it knows no other
}

type explainedPlace struct {
	Lat     float64 `json:"lat"`
	Lon     float64 `json:"lon"`
	Country string  `json:"country"`
	// the south-western corner of the cell of one degree that lat,lon is the middle of; "" where no table placed it
	Cell   string `json:"cell"`
	Source string `json:"source"`
	From   string `json:"from"` // who says so: the file, or a database and its day; "" where nobody does
}

type explainedReplica struct {
	Name       string  `json:"name"`
	ExpectedMS int     `json:"expected_ms"` // bias included
	BiasMS     float64 `json:"bias_ms"`
	MeasuredMS *int    `json:"measured_ms"` // null: gateways measure nothing yet
	State      string  `json:"state"`
	Reason     string  `json:"reason"`
}

// asked is what the flags ask for.
type asked struct {
	client, at, repository string
	write                  bool
	running                *admin.RepositoryLease // what a running gateway says of repository; nil: none was asked
}

func explainCommand() *cobra.Command {
	var file string
	var running asking
	var a asked
	cmd := &cobra.Command{
		Use:   "explain --config FILE (--client ADDR | --at LAT,LON)",
		Short: "where a client is taken to be, and which replica it is sent to",
		Long: `Where a client is taken to be, every replica with its expected round-trip time, and the one chosen:
by DNS; with --repository for a pull of it, with --write for a push. It reads the file, so every
replica counts as up but for the operator's word. No running gateway is asked, unless --admin names
one: then it says who holds the repository's lease, who granted it, or who would.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := running.check(); err != nil {
				return err
			}
			if cmd.Flags().Changed("admin") && a.repository == "" {
				return errors.New("--admin: the lease of which --repository?")
			}
			c, err := configs.Load(file)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("admin") {
				a.running = &admin.RepositoryLease{}
				if err := askAdmin(cmd.Context(), running.at, "/leases?repository="+url.QueryEscape(a.repository),
					a.running); err != nil {
					return err
				}
			}
			e, err := explain(c, a)
			if err != nil {
				return err
			}
			return running.print(cmd.OutOrStdout(), e, e.print)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "the file (required)")
	f.StringVar(&a.client, "client", "", "the client's address")
	f.StringVar(&a.at, "at", "", "a point on the map instead, LAT,LON in degrees")
	f.StringVar(&a.repository, "repository", "", "a registry request for this repository, rather than a DNS query")
	f.BoolVar(&a.write, "write", false, "a push, rather than a pull")
	f.StringVar(&running.at, "admin", "", "the admin listener of a running gateway to ask about the repository's lease")
	running.outputFlags(f)
	cmd.MarkFlagsOneRequired("client", "at")
	cmd.MarkFlagsMutuallyExclusive("client", "at")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err) // only for a flag that is not there
	}
	return cmd
}

func explain(c *configs.Config, a asked) (explanation, error) {
	fleet := router.NewFleet(gateway.Replicas(c))
	e, loc, err := a.locate(c, fleet)
	if err != nil {
		return explanation{}, err
	}
	ranking := fleet.Rank(loc)
	order := ranking.Order()
	if !loc.Placed() { // counts as being at home
		e.Place.Lat, e.Place.Lon, e.Place.Country = fleet.Home().Point.Lat, fleet.Home().Point.Lon, fleet.Home().Country
	}
	if a.running != nil {
		e.Lease, e.Arbiter = a.running.Lease, &a.running.Arbiter
	}
	switch {
	case a.repository == "" && !a.write:
		answer := router.ForDNS(order, netip.Addr{}, time.Time{})
		e.Chosen, e.Reason = answer.Replica.Name, answer.Reason
	default:
		r := router.Request{Kind: router.Fresh, Client: order, Gateway: order,
			OwnerHome: c.Lease.Owner == configs.OwnerHome}
		if here := fleet.RankHere(c.Here); here != nil {
			r.Gateway = here.Order()
			if !a.write {
				ranking = here
			}
		}
		if a.write {
			r.Kind = router.Write
		}
		if a.running != nil && a.running.Lease != nil {
			r.Lease = a.running.Lease.Owner
		}
		d := router.Decide(r)
		e.Chosen, e.Reason = d.Tries[0].Name, d.Reason
	}
	for _, r := range ranking {
		e.Replicas = append(e.Replicas, explainedReplica{
			Name: r.Name, ExpectedMS: r.ExpectedMS, BiasMS: r.Bias, State: string(r.Operator),
			Reason: e.whyNot(r, a.write),
		})
	}
	return e, nil
}

// locate is where the client is; an address that cannot be read, or a point that is none, is an error.
func (a asked) locate(c *configs.Config, fleet *router.Fleet) (explanation, geo.Location, error) {
	if a.at != "" {
		loc, err := parsePoint(a.at)
		return explanation{Place: placeAt(loc, string(loc.Source))}, loc, err
	}
	addr, err := netip.ParseAddr(a.client)
	if err != nil {
		return explanation{}, geo.Location{}, fmt.Errorf("--client: %w", err)
	}
	placed, err := gateway.NewGeo(c, nil)
	if err != nil {
		return explanation{}, geo.Location{}, err
	}
	loc := placed.Locate(addr)
	_, scope := placed.Orders().Order(fleet, addr)
	return explanation{Client: a.client, Place: placeAt(loc, placed.From(loc.Source)), Scope: scope.String()}, loc, nil
}

func placeAt(loc geo.Location, from string) explainedPlace {
	at := explainedPlace{Lat: loc.Point.Lat, Lon: loc.Point.Lon, Country: loc.Country, Source: string(loc.Source),
		From: from}
	if loc.Source == geo.SourceDatabase {
		lat, lon := geo.CellOf(loc.Point)
		at.Cell = fmt.Sprintf("%d,%d", lat, lon)
	}
	return at
}

var errPoint = errors.New("--at: LAT,LON in degrees, such as 52.37,4.9")

func parsePoint(s string) (geo.Location, error) {
	lat, lon, _ := strings.Cut(s, ",")
	y, errLat := strconv.ParseFloat(strings.TrimSpace(lat), 64)
	x, errLon := strconv.ParseFloat(strings.TrimSpace(lon), 64)
	p := geo.Point{Lat: y, Lon: x}
	if errLat != nil || errLon != nil || !p.Valid() {
		return geo.Location{}, errPoint
	}
	return geo.Location{Point: p, Source: sourceAt}, nil
}

// sourceAt is the source of a point that was given by hand.
const sourceAt geo.Source = "at"

// whyNot is the reason in a replica's own line: why it is chosen, or what keeps it from it.
func (e explanation) whyNot(r router.Ranked, write bool) string {
	switch {
	case r.Name == e.Chosen:
		return string(e.Reason)
	case r.Operator != router.Online:
		return string(r.Operator)
	case write && !r.Writable:
		return "read_only"
	}
	return "farther"
}

func (e explanation) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	switch {
	case e.Client == "":
		fmt.Fprintf(w, "a client at %.4f,%.4f\n", e.Place.Lat, e.Place.Lon)
	case e.Place.Source == string(geo.SourceNone):
		fmt.Fprintf(w, "nobody can place client %s: it counts as being at home; the order holds for %s\n", e.Client,
			e.Scope)
	default:
		fmt.Fprintf(w, "client %s is taken to be at %.4f,%.4f %s%s (%s: %s); the order holds for %s\n",
			e.Client, e.Place.Lat, e.Place.Lon, e.Place.Country, e.Place.cell(), e.Place.Source, e.Place.From, e.Scope)
	}
	fmt.Fprintln(t, "REPLICA\tEXPECTED\tBIAS\tSTATE\tREASON")
	for _, r := range e.Replicas {
		fmt.Fprintf(t, "%s\t%d ms\t%+g ms\t%s\t%s\n", r.Name, r.ExpectedMS, r.BiasMS, r.State, r.Reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if e.Arbiter != nil {
		fmt.Fprintln(w, leaseText(e.Lease, *e.Arbiter, time.Now()))
	}
	_, err := fmt.Fprintf(w, "chosen: %s (%s)\n", e.Chosen, e.Reason)
	return err
}

func (p explainedPlace) cell() string {
	if p.Cell == "" {
		return ""
	}
	return ", the middle of cell " + p.Cell
}

// leaseText is what a running gateway says of a repository. Whoever granted may have had a clock ahead of ours.
func leaseText(l *admin.Lease, arbiter string, now time.Time) string {
	switch {
	case l == nil && arbiter == "":
		return "no lease"
	case l == nil:
		return "no lease; " + arbiter + " would arbitrate"
	}
	age := max(0, now.Sub(l.Granted)).Truncate(time.Second)
	switch {
	case l.Arbitrated:
		return fmt.Sprintf("lease: %s, granted by %s as arbiter, %v ago", l.Owner, l.GrantedBy, age)
	case l.GrantedBy != "":
		return fmt.Sprintf("lease: %s, granted by %s alone, %v ago: no arbiter answered", l.Owner, l.GrantedBy, age)
	case arbiter != "":
		return fmt.Sprintf("lease: %s, granted %v ago; the other gateways do not know of it", l.Owner, age)
	}
	return fmt.Sprintf("lease: %s, granted %v ago", l.Owner, age)
}
