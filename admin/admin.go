// Package admin is what an operator asks a running gateway, on a listener of its own that clients
// never reach: metrics, whether it lives and is ready, the fleet, the leases and the webhooks.
package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config is what the handler shows. All fields are required.
type Config struct {
	Gatherer prometheus.Gatherer
	Ready    func() []Check
	Fleet    func() Fleet
	Leases   func() []Lease
	Lease    func(repository string) RepositoryLease
	Cluster  func() Cluster
	Egress   func() Egress
	Damaged  func() []Damaged
	Drained  func() Drain
	Drain    func(on bool) error
	Audit    func() Audit
	AskAudit func(AuditRequest) (Audit, error)
	Webhooks Webhooks
	Configs  Configs

	Replications Replications

	Image       func(ctx context.Context, repository, reference string, children bool) (i Image, known bool, err error)
	Changed     func() <-chan struct{} // closed when what Image says may be another
	Replication func() Replication
	Failures    func() []Failure
	Retry       func(replica, repository, reference string) (count int) // "" is any
	Conflicts   func() (Conflicts, error)

	Log *slog.Logger
}

// Check is one condition of being ready.
type Check struct {
	Name     string
	Problem  string // "" when it is met
	Note     string // what an operator should look at; it keeps nobody from being ready
	Stopping bool   // it is not met because the gateway drains, or stops
}

// Fleet is the answer of /fleet.
type Fleet struct {
	Hostname string    `json:"hostname"`
	Here     string    `json:"here"`     // "" for a gateway that stands in no region
	Gateway  string    `json:"gateway"`  // how the clients' listener is reached from this machine
	Draining bool      `json:"draining"` // it serves who comes, and has DNS send nobody
	Replicas []Replica `json:"replicas"`
}

// Replica is one replica of /fleet.
type Replica struct {
	Name     string  `json:"name"`
	Home     bool    `json:"home"`
	Lat      float64 `json:"lat"`
	Lon      float64 `json:"lon"`
	Country  string  `json:"country,omitempty"`
	BiasMS   float64 `json:"bias_ms"`
	State    string  `json:"state"` // the operator's word: online, drain or offline; or leaving
	Write    bool    `json:"write"`
	Unshared bool    `json:"unshared"` // not all gateways know it: no push begins there
	Up       bool    `json:"up"`       // the upstream, as far as this gateway knows
	Fronts   []Front `json:"fronts"`
	Probes   []Probe `json:"probes"`
	Upstream string  `json:"upstream"`
	// PushesLeft are leases and open uploads of pushes through this gateway; nil unless nothing new starts there.
	PushesLeft *int `json:"pushes_left,omitempty"`

	WriteFailing *WriteFailing `json:"write_failing"` // null: it takes uploads, as far as this gateway knows
}

// Front is one address that DNS hands out.
type Front struct {
	Address string `json:"address"`
	Up      bool   `json:"up"`
}

// Probe is the state of one probed target.
type Probe struct {
	Target string    `json:"target"` // front or upstream
	URL    string    `json:"url"`
	Up     bool      `json:"up"`
	Slow   bool      `json:"slow"`  // it answers in many times its usual time
	Known  bool      `json:"known"` // false: nothing yet speaks for or against it, counted as up
	Result string    `json:"result"`
	Probed time.Time `json:"probed,omitzero"`
	Since  time.Time `json:"since,omitzero"` // of Up
	Ends   time.Time `json:"certificate_ends,omitzero"`
}

// Lease is one entry of /leases.
type Lease struct {
	Repository string    `json:"repository"`
	Owner      string    `json:"owner"`
	Granted    time.Time `json:"granted"` // by the clock of the gateway that did
	Last       time.Time `json:"last"`    // accepted write
	Open       int       `json:"open"`    // requests under way through this gateway
	// GrantedBy is the gateway that did; "" if only this one knows of the lease, as without a cluster
	GrantedBy  string `json:"granted_by"`
	Arbitrated bool   `json:"arbitrated"` // false: a gateway decided alone
}

// RepositoryLease is the answer of /leases?repository=NAME.
type RepositoryLease struct {
	Lease   *Lease `json:"lease"`   // null: none holds
	Arbiter string `json:"arbiter"` // the gateway that would be asked for a lease now; "" without a cluster
}

// Cluster is the answer of /cluster.
type Cluster struct {
	Name    string   `json:"name"` // of this gateway; "" if it knows no other
	Members []Member `json:"members"`
}

// Member is one gateway that is alive as far as this one knows.
type Member struct {
	Name    string    `json:"name"`
	Here    string    `json:"here"`
	Address string    `json:"address"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
	// File is a hash of what its file has of what all gateways must have alike; "" if it tells none
	File     string   `json:"file"`
	Differs  []string `json:"differs"`  // the keys in which that differs from this gateway's; "unknown" until they have come
	Draining bool     `json:"draining"` // it serves who comes, and has DNS send nobody
}

// Damaged is one entry of /damaged: a blob that a replica gave out as something else than its digest says.
type Damaged struct {
	Replica    string    `json:"replica"`
	Repository string    `json:"repository"` // that it was asked for in
	Digest     string    `json:"digest"`
	Found      time.Time `json:"found"` // the last time
}

// New makes the handler.
func New(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelError),
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, c.Ready()) })
	mux.HandleFunc("GET /fleet", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Fleet()) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.status()) })
	mux.HandleFunc("GET /leases", func(w http.ResponseWriter, r *http.Request) {
		if query := r.URL.Query(); query.Has("repository") {
			writeJSON(w, c.Lease(query.Get("repository")))
			return
		}
		writeJSON(w, c.Leases())
	})
	mux.HandleFunc("GET /cluster", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Cluster()) })
	mux.HandleFunc("GET /egress", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Egress()) })
	mux.HandleFunc("GET /damaged", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Damaged()) })
	mux.Handle("GET /images", images{c, make(chan struct{}, maxPolls)})
	mux.HandleFunc("GET /replication", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Replication()) })
	mux.HandleFunc("GET /replication/failures", func(w http.ResponseWriter,
		_ *http.Request) {
		writeJSON(w, c.Failures())
	})
	mux.Handle("POST /replication/retry", ownPages().Handler(http.HandlerFunc(c.retry)))
	mux.HandleFunc("GET /replication/conflicts", c.conflicts)
	c.drainRoutes(mux)
	auditRoutes(mux, c.Audit, c.AskAudit, c.Log)
	webhookRoutes(mux, c.Webhooks, c.Log)
	configRoutes(mux, c.Configs, c.Log)
	regionalRoutes(mux, c.Replications, c.Log)
	mux.HandleFunc("/", notFound)
	return onlyLocal(mux)
}

// ready follows Kubernetes' /readyz: the status is for machines, ?verbose for people.
func ready(w http.ResponseWriter, r *http.Request, checks []Check) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	status, text := http.StatusOK, ""
	for _, check := range checks {
		switch {
		case check.Problem != "":
		case check.Note != "":
			text += "[!] " + check.Name + ": " + check.Note + "\n"
			continue
		default:
			text += "[+] " + check.Name + "\n"
			continue
		}
		status = http.StatusServiceUnavailable
		text += "[-] " + check.Name + ": " + check.Problem + "\n"
	}
	if _, verbose := r.URL.Query()["verbose"]; !verbose && status == http.StatusOK {
		text = "ok\n"
	}
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

func writeJSON(w http.ResponseWriter, v any) { writeJSONAs(w, http.StatusOK, v) }

func writeJSONAs(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v) // fails only when the client is gone
}

func notFound(w http.ResponseWriter, r *http.Request) {
	status := http.StatusNotFound
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		status = http.StatusMethodNotAllowed
		w.Header().Set("Allow", "GET, HEAD")
	}
	writeProblem(w,
		Problem{status, "there are /metrics, /healthz, /readyz, /fleet, /leases, /cluster, /egress, /damaged, /images, " +
			"/replication, /drain, /audit, /webhooks and /config"})
}

// writeProblem is a problem detail (RFC 9457).
func writeProblem(w http.ResponseWriter, p Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(p.Status), p.Status, p.Detail})
}
