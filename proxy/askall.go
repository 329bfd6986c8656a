package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/fairlead-gateway/fairlead/router"
)

// askAll asks them the same at once, as far as they are up, and takes in their answers, which are short.
func (x *exchange) askAll(out *http.Request, replicas []*router.Replica) []answer {
	answers := make([]answer, len(replicas))
	var all sync.WaitGroup
	for i, r := range replicas {
		answers[i] = failed(r, errReplicaDown)
		answers[i].Unasked = true
		if r.Readable() {
			all.Go(func() { answers[i] = x.askOneOf(out, r) })
		}
	}
	all.Wait()
	return answers
}

func (x *exchange) askOneOf(out *http.Request, r *router.Replica) answer {
	ctx := out.Context()
	if x.deletes() {
		ctx = context.WithoutCancel(ctx) // what was begun must be finished, whether its client is still there or not
	}
	ctx, cancel := context.WithTimeout(ctx, x.settings.Limits.FirstByte)
	defer cancel()
	out = out.Clone(ctx)
	out.Body, out.ContentLength = nil, 0
	response, err := x.send(r, out)
	if err != nil {
		x.trouble(r, err)
		return failed(r, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxShort))
	if err != nil {
		return failed(r, err)
	}
	response.Body = io.NopCloser(bytes.NewReader(text))
	if x.in.Method != http.MethodHead {
		response.ContentLength = int64(len(text))
		response.Header.Set("Content-Length", strconv.Itoa(len(text)))
	}
	return answer{response: response, Heard: router.Heard{Replica: r, Status: response.StatusCode}}
}
