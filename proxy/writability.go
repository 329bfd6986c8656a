package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// Writability keeps which replicas fail at uploads, whoever asks, and is told how each write ends. No method blocks.
type Writability interface {
	// Failing are those where a push of this client to the repository should write nothing. due are those of them that
	// one push may try.
	Failing(client netip.Prefix, repository string, now time.Time) (failing, due []string)
	// Try has a push be that one. False: another one was faster.
	Try(replica string, client netip.Prefix, repository string, now time.Time) bool
	Note(replica string, got router.Wrote, now time.Time)
}

// unjudged is the Writability of who has none.
type unjudged struct{}

func (unjudged) Failing(netip.Prefix, string, time.Time) (failing, due []string) { return nil, nil }
func (unjudged) Try(string, netip.Prefix, string, time.Time) bool                { return false }
func (unjudged) Note(string, router.Wrote, time.Time)                            {}

// failing are the replicas where this exchange should write nothing.
func (x *exchange) failing(now time.Time) (failing, due []string) {
	return x.proxy.Writability.Failing(clientPrefix(x.client), x.target.repository, now)
}

// decide gathers what the decision needs, as it is now, and asks router. Where a replica whose uploads fail may be tried
// again, an upload that begins is what tries it: it can be sent elsewhere if that fails.
func (x *exchange) decide() *decision {
	now := time.Now()
	failing, due := x.failing(now)
	if len(due) > 0 && x.beginsUpload() {
		rest := slices.DeleteFunc(slices.Clone(failing), func(name string) bool { return slices.Contains(due, name) })
		d := x.decideWithout(rest, true, now)
		first := d.Tries[0].Name
		if slices.Contains(due, first) && x.proxy.Writability.Try(first, clientPrefix(x.client), x.target.repository, now) {
			return d
		}
	}
	return x.decideWithout(failing, false, now)
}

// noteWrite tells how a write has ended at a replica. A client that went away, or whose body broke off, is no fault of
// it.
func (x *exchange) noteWrite(got answer) {
	writes := x.target.kind == router.Write || x.target.kind == router.Upload
	if got.err != nil || !writes || x.target.repository == "" || !changes(x.in.Method) ||
		x.in.Method == http.MethodDelete || x.clientGone() || x.progress.clientFailed.Load() {
		return
	}
	x.proxy.Writability.Note(got.Replica.Name, router.Wrote{
		Repository: x.target.repository, Client: clientPrefix(x.client), Status: got.Status,
		Stores: x.in.Method == http.MethodPut || x.in.ContentLength != 0,
	}, time.Now())
}

// failsForAll reports whether a replica could not write this, and is known to fail at it for others, too.
func (x *exchange) failsForAll(got answer) bool {
	if got.err != nil || !failsWrites(got.Status) || x.decided.request.Named != "" {
		return false
	}
	failing, _ := x.failing(time.Now())
	return slices.Contains(failing, got.Replica.Name)
}
