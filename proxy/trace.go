package proxy

import (
	"net/http"
	"strings"

	"github.com/fairlead-gateway/fairlead/transfer"
)

// The fields of a client's trace (W3C Trace Context). They go to replicas as they came: a gateway makes no span of its
// own, and who takes no part has to pass both on. It begins no trace either, since nothing would be told of that.
const (
	traceParent = "Traceparent"
	traceState  = "Tracestate"
)

// traceID is the trace that a request belongs to; "" if it does not say, or not in a valid way. Of a later version than
// 00 the fields of that one count (W3C Trace Context, 3.2.4).
func traceID(h http.Header) string {
	if len(h[traceParent]) != 1 {
		return ""
	}
	const length = 2 + 1 + 32 + 1 + 16 + 1 + 2
	text := h[traceParent][0]
	if len(text) < length || len(text) > length && (text[:2] == "00" || text[length] != '-') {
		return ""
	}
	parts := strings.Split(text[:length], "-")
	if len(parts) != 4 {
		return ""
	}
	for i, size := range []int{2, 32, 16, 2} {
		if len(parts[i]) != size || strings.Trim(parts[i], "0123456789abcdef") != "" {
			return ""
		}
	}
	if parts[0] == "ff" || isZero(parts[1]) || isZero(parts[2]) {
		return ""
	}
	return parts[1]
}

func isZero(digits string) bool { return strings.Trim(digits, "0") == "" }

// traceOf are the fields of a valid trace, for what is asked of replicas beside the request itself; nil without one.
func traceOf(h http.Header) http.Header {
	if traceID(h) == "" {
		return nil
	}
	trace := http.Header{}
	for _, name := range []string{traceParent, traceState} {
		for _, value := range h[name] {
			trace.Add(name, strings.Clone(value))
		}
	}
	return trace
}

// traced is a replica that hears of a trace with each request, and where it redirects to does not.
func traced(to transfer.Replica, trace http.Header) transfer.Replica {
	if len(trace) == 0 {
		return to
	}
	base, host := to.Transport, to.URL.Host
	to.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != host {
			return base.RoundTrip(r)
		}
		r = r.Clone(r.Context())
		for name, values := range trace {
			r.Header[name] = values
		}
		return base.RoundTrip(r)
	})
	return to
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
