package health

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
)

// What a target may make us read: a base response (OCI distribution spec, end-1) is a few bytes.
const (
	maxHeader = 64 << 10
	maxBody   = 64 << 10
)

// UserAgent is what probes call themselves.
const UserAgent = "fairlead-health"

// statusError is an answer that does not count as alive.
type statusError int

func (s statusError) Error() string { return "status " + strconv.Itoa(int(s)) }

// get probes a target once; nil means alive. It ends when ctx does, which must have a deadline.
func get(ctx context.Context, t Target) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := exchange(ctx, t)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // "use of closed connection" is but how the deadline showed itself
	}
	return err
}

func exchange(ctx context.Context, t Target) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		return err
	}
	req.Host = cmp.Or(t.Host, req.Host)
	req.Header.Set("User-Agent", UserAgent)
	// RoundTrip, not a Client: a redirect is an answer of its own here, and what it points to is not
	// the target.
	resp, err := transport(ctx, t).RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return judge(resp)
}

// transport makes a new connection for each probe. A kept one would go on working while new clients
// are refused (a full accept queue, a listener that is gone, an expired certificate), and after a
// silent death of the peer it would blame the target for our own stale connection. It belongs to
// one probe, and every connection to ctx, because http.Transport goes on dialling and shaking hands
// for a request that was given up.
func transport(ctx context.Context, t Target) *http.Transport {
	return &http.Transport{
		DialContext: func(_ context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, cmp.Or(t.Dial, addr))
			if err == nil {
				context.AfterFunc(ctx, func() { conn.Close() })
			}
			return conn, err
		},
		TLSClientConfig:        t.TLS,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// judge decides by status first. 401 is how a registry that wants credentials says that it speaks
// the protocol. 429 means that it is busy with others: taking it down for that would hand its load
// to the next, so 429 is alive whatever follows. A stalled body would stall clients too, so the rest
// must arrive, as far as we care to read.
func judge(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return nil
	case http.StatusOK, http.StatusUnauthorized:
		_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
		return err
	}
	return statusError(resp.StatusCode)
}
