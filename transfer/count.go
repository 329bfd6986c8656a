package transfer

import (
	"io"
	"net/http"
)

// Counted returns the replica with count called for the bytes of its answers' bodies, as they come.
func (r Replica) Counted(count func(bytes int)) Replica {
	r.Transport = counting{r.Transport, count}
	return r
}

type counting struct {
	base  http.RoundTripper
	count func(bytes int)
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.base.RoundTrip(r)
	if err == nil {
		response.Body = countedBody{response.Body, c.count}
	}
	return response, err
}

type countedBody struct {
	io.ReadCloser
	count func(bytes int)
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.count(n)
	}
	return n, err
}
