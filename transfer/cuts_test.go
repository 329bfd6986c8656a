package transfer

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// steps is content that can be read from anywhere and costs no memory.
type steps int64

func (s *steps) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte((int(*s) + i) >> 12)
	}
	*s += steps(len(b))
	return len(b), nil
}

// TestManyCuts: a blob that is cut at many random points on its way in, or on its way out, arrives, and little of it is
// sent or read twice.
func TestManyCuts(t *testing.T) {
	size, cuts := int64(64<<20), int64(50)
	if testing.Short() {
		size, cuts = 16<<20, 12
	}
	h := sha256.New()
	io.Copy(h, io.LimitReader(new(steps), size))
	digest := fmt.Sprintf("sha256:%x", h.Sum(nil))
	for _, where := range []string{"source", "target"} {
		t.Run(where, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
			var read, sent, have atomic.Int64
			left := cuts
			// until is how many bytes pass before the next cut.
			until := func() int64 {
				if left--; left < 0 {
					return size
				}
				return random.Int64N(2 * size / cuts)
			}
			from := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet {
					return false
				}
				start := int64(0)
				fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start)
				if start < have.Load()-2*stride {
					t.Errorf("read from %d again, when the target has %d", start, have.Load())
				}
				w.Header().Set("Content-Length", fmt.Sprint(size-start))
				if start > 0 {
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, size-1, size))
					w.WriteHeader(http.StatusPartialContent)
				}
				limit := size
				if where == "source" {
					limit = until()
				}
				at := steps(start)
				n, _ := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(&at, min(limit, size-start)),
					make([]byte, 32<<10))
				read.Add(n)
				if n < size-start {
					cut()
				}
				return true
			})
			to := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request) bool {
				switch r.Method {
				case http.MethodPatch:
					limit := size
					if where == "target" {
						limit = until()
					}
					n, err := io.Copy(io.Discard, io.LimitReader(r.Body, limit))
					have.Add(n)
					sent.Add(n)
					if err != nil || n < r.ContentLength {
						cut()
					}
					w.WriteHeader(http.StatusAccepted)
				case http.MethodGet:
					w.Header().Set("Range", fmt.Sprintf("0-%d", max(have.Load()-1, 0)))
					w.WriteHeader(http.StatusNoContent)
				case http.MethodPut:
					f.has[digest] = nil
					w.WriteHeader(http.StatusCreated)
				default:
					return false
				}
				return true
			})
			b := standard()
			b.pause = time.Microsecond
			if err := b.copyBlob(t.Context(), from.repository("from"), to.repository("to"), digest, 0); err != nil {
				t.Fatal(err)
			}
			t.Logf("read %.3f, sent %.3f of it", float64(read.Load())/float64(size), float64(sent.Load())/float64(size))
			// else it is the sockets that have read ahead
			if sent.Load() > size*11/10 || where == "source" && read.Load() > size*11/10 {
				t.Errorf("%d read and %d sent of %d", read.Load(), sent.Load(), size)
			}
		})
	}
}
