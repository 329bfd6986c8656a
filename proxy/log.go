package proxy

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/proxy/accesslog"
)

// log says of a request that has ended what became of it: in the metrics, the log and the access log.
func (x *exchange) log(start time.Time) {
	p, took := x.proxy, time.Since(start)
	add := p.settings.Load().AccessLog // the log that it began with may be closed by now
	p.metrics.observe(x.target.kind, x.reason, x.status)
	debug := p.Log.Enabled(context.Background(), slog.LevelDebug)
	if !debug && add == nil {
		return
	}
	e := x.entry(start, took)
	if add != nil {
		add(e)
	}
	if debug {
		p.Log.Debug("request", "method", e.Method, "path", x.in.URL.Path, "client", x.client, "kind", e.Kind,
			"agent", e.UserAgent, "repository", e.Repository, "replica", e.Replica, "reason", e.Reason,
			"status", e.Status, "bytes", x.progress.moved.Load(), "took", took, "trace_id", e.TraceID)
	}
}

// entry is the request in the access log.
func (x *exchange) entry(start time.Time, took time.Duration) accesslog.Entry {
	e := accesslog.Entry{
		Time: start, Duration: took, Client: x.client,
		Method: x.in.Method, Host: x.in.Host, Path: x.in.URL.EscapedPath(), Query: x.query, Protocol: x.in.Proto,
		Status: x.status, Sent: x.progress.sent.Load(), Received: x.progress.received.Load(),
		Kind: string(x.target.kind), Repository: x.target.repository, Reason: string(x.reason),
		UserAgent: x.in.UserAgent(), TraceID: traceID(x.in.Header), Error: x.failure(),
	}
	if x.target.manifest || x.target.blob {
		e.Reference = x.target.reference
	}
	if asked := x.progress.asked.Load(); asked != nil {
		e.Replica = asked.Name
	}
	if blob := x.progress.blob.Load(); blob != nil {
		e.Replica, e.ResumedAt = blob.first, strings.Join(blob.resumedAt, " ")
	}
	if !x.answered.IsZero() {
		e.FirstByte = x.answered.Sub(start)
	}
	return e
}

// failure is why the request failed, as far as the gateway has to do with it; "" if a replica has answered, or the
// status says it.
func (x *exchange) failure() string {
	switch {
	case x.refused.Code != "":
		return x.refused.Code + ": " + x.refused.Message
	case !x.brokenOff || x.status == statusBrokenOff || x.status == statusClientGone:
		return ""
	case errors.Is(context.Cause(x.ctx), errStalled):
		return errStalled.Error()
	case x.in.Context().Err() != nil:
		return "the client went away in the middle of the answer"
	}
	return "the answer broke off"
}
