package proxy

import (
	"io"
	"net/http"
)

// countPulled has the bytes counted that the client gets of a repository's content: what left the replica for it. What
// a replica said and the client does not hear is not among them, nor is what object storage sends after a redirect.
func (x *exchange) countPulled(response *http.Response, replica string) {
	if !x.reads() || x.target.repository == "" {
		return
	}
	nearest := len(x.decided.request.Client) > 0 && x.decided.request.Client[0].Name == replica
	response.Body = pulledBody{response.Body, func(n int) { x.proxy.Traffic.Pulled(replica, nearest, n) }}
}

type pulledBody struct {
	io.ReadCloser
	count func(bytes int)
}

func (b pulledBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.count(n)
	}
	return n, err
}
