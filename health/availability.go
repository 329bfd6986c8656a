package health

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/router"
)

// Bounds of what is kept of the past.
const (
	hoursKept       = 30*24 + 1 // the present one beside 30 days
	accountEvery    = time.Second
	accountKept     = time.Minute // between two writes of the file
	maxAccountsSize = 8 << 20     // bytes of the file: some 2000 replicas
)

// windows are what availability is told of.
var windows = []struct {
	name  string
	hours int
}{{"1d", 24}, {"7d", 7 * 24}, {"30d", 30 * 24}}

// hour is how long of one hour it was known how a replica does, and how long it was up.
type hour struct{ known, up time.Duration }

// Account is how available a replica was in each of the last 30 days' hours. The zero value knows nothing.
type Account struct {
	hours  [hoursKept]hour // each in the place of its number, modulo
	newest int64           // the number of the last hour, counted from 1970
}

// at is the present hour's entry. What was not accounted for meanwhile is not known. A clock that was set back by more
// than an hour leaves nothing that could be trusted.
func (a *Account) at(now time.Time) *hour {
	number := now.Unix() / 3600
	switch {
	case number < a.newest-1, number >= a.newest+hoursKept:
		*a = Account{newest: number}
	case number > a.newest:
		for n := a.newest + 1; n <= number; n++ {
			a.hours[n%hoursKept] = hour{}
		}
		a.newest = number
	}
	return &a.hours[a.newest%hoursKept]
}

// Add accounts for d that ends now.
func (a *Account) Add(now time.Time, d time.Duration, up bool) {
	h := a.at(now)
	d = min(d, time.Hour-min(h.known, time.Hour))
	h.known += d
	if up {
		h.up += d
	}
}

// Ratio is how much of what is known of so many hours before this one, and of this one, the replica was up: 0 to 1.
// It is false if nothing is known.
func (a *Account) Ratio(now time.Time, hours int) (ratio float64, known bool) {
	number := now.Unix() / 3600
	var all hour
	for n := max(number-int64(hours), a.newest-hoursKept+1); n <= a.newest; n++ {
		h := a.hours[(n+hoursKept)%hoursKept] // a machine without a clock begins in 1970
		all.known, all.up = all.known+h.known, all.up+h.up
	}
	return float64(all.up) / max(float64(all.known), 1), all.known > 0
}

// accounted is an account in the file: seconds, two bytes each, known and up by turns, the oldest hour first.
type accounted struct {
	Newest int64  `json:"newest"`
	Hours  []byte `json:"hours"`
}

func (a *Account) save() accounted {
	out := accounted{Newest: a.newest}
	for n := a.newest - hoursKept + 1; n <= a.newest; n++ {
		h := a.hours[(n+hoursKept)%hoursKept]
		out.Hours = binary.BigEndian.AppendUint16(out.Hours, uint16(h.known/time.Second))
		out.Hours = binary.BigEndian.AppendUint16(out.Hours, uint16(h.up/time.Second))
	}
	return out
}

// load is the account that a file has; one that cannot be is one that knows nothing.
func (s accounted) load() Account {
	if s.Newest < hoursKept || len(s.Hours) != 4*hoursKept {
		return Account{}
	}
	a := Account{newest: s.Newest}
	for i := range int64(hoursKept) {
		known, up := binary.BigEndian.Uint16(s.Hours[4*i:]), binary.BigEndian.Uint16(s.Hours[4*i+2:])
		if up > known || known > 3600 {
			return Account{}
		}
		a.hours[(s.Newest-hoursKept+1+i)%hoursKept] = hour{
			known: time.Duration(known) * time.Second, up: time.Duration(up) * time.Second,
		}
	}
	return a
}

// readAccounts: of a file that is damaged, or is none, nothing is known.
func readAccounts(file string) map[string]accounted {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var all map[string]accounted
	if json.NewDecoder(io.LimitReader(f, maxAccountsSize)).Decode(&all) != nil {
		return nil
	}
	return all
}

// Account keeps how available each replica is until ctx ends, also in a file, for the next run. "" is no file. It is
// called once. A replica is available while its upstream and one of its fronts count as up.
func (m *Monitor) Account(ctx context.Context, file string) {
	m.mu.Lock()
	for name, kept := range readAccounts(file) {
		if account := kept.load(); hasReplica(m.settings.Replicas, name) {
			m.accounts[name] = &account
		}
	}
	m.mu.Unlock()
	tick := time.NewTicker(accountEvery)
	defer tick.Stop()
	last := time.Now()
	written := last
	for {
		select {
		case <-ctx.Done():
			m.saveAccounts(file)
			return
		case now := <-tick.C:
			m.account(now, now.Sub(last))
			last = now
			if now.Sub(written) >= accountKept {
				m.saveAccounts(file)
				written = now
			}
		}
	}
}

// account adds to the account of each replica that anything is known of. A gateway that leaves says nothing of itself.
func (m *Monitor) account(now time.Time, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving != nil {
		return
	}
	fleet := m.fleet.Load()
	for _, w := range m.watches {
		if w.Front.IsValid() || !w.history.Known() {
			continue
		}
		account, has := m.accounts[w.Replica]
		if !has {
			account = &Account{}
			m.accounts[w.Replica] = account
		}
		r := fleet.Replica(w.Replica)
		account.Add(now, d, r.Upstream.Up && (len(r.Fronts) == 0 || r.FrontUp()))
	}
}

// dropAccounts forgets the replicas that are gone. Called with mu held.
func (m *Monitor) dropAccounts() {
	for name := range m.accounts {
		if !hasReplica(m.settings.Replicas, name) {
			delete(m.accounts, name)
		}
	}
}

func hasReplica(all []router.Replica, name string) bool {
	for _, r := range all {
		if r.Name == name {
			return true
		}
	}
	return false
}

func (m *Monitor) saveAccounts(file string) {
	if file == "" {
		return
	}
	m.mu.Lock()
	all := map[string]accounted{}
	for name, account := range m.accounts {
		all[name] = account.save()
	}
	m.mu.Unlock()
	if err := writeJSON(file, all); err != nil {
		m.config.Log.Debug("how available replicas were cannot be kept", "file", file, "error", err)
	}
}

var availability = prometheus.NewDesc("fairlead_replica_availability_ratio",
	"How much of the time that this gateway knows of the replica was up, its upstream and one of its fronts.",
	[]string{"replica", "window"}, nil)

// availabilities works out the series when they are asked for: they come and go with their replicas.
type availabilities struct{ *Monitor }

func (availabilities) Describe(to chan<- *prometheus.Desc) { to <- availability }

func (a availabilities) Collect(to chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for name, account := range a.accounts {
		for _, w := range windows {
			if ratio, known := account.Ratio(now, w.hours); known {
				to <- prometheus.MustNewConstMetric(availability, prometheus.GaugeValue, ratio, name, w.name)
			}
		}
	}
}
