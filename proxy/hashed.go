package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/router"
)

const (
	// heldBack is how many of a blob's last bytes are handed on only when its hash is right: less than a replica has to
	// move in each window (Limits.Least).
	heldBack = 4 << 10
	// smallBlob is how many bytes are taken in before the client hears of them, so that another replica can be asked:
	// most images' configs.
	smallBlob = 64 << 10
)

// errDamaged means that a replica gave out other bytes than the digest says.
var errDamaged = errors.New("the blob is damaged at the replicas that have it: its bytes are not what its digest says")

func damagedError(replicas ...string) error {
	return fmt.Errorf("%w: %s", errDamaged, strings.Join(replicas, ", "))
}

// look has an answer hashed as it passes, if it is time for it and it is all of a blob as its digest names it.
func (x *exchange) look(replica string, response *http.Response) error {
	header := response.Header
	if x.in.Method != http.MethodGet || response.ContentLength < 0 || header.Get("Content-Encoding") != "" ||
		isPage(header) || !oci.IsDigest(x.target.reference) {
		return nil
	}
	h, want, err := oci.ParseDigest(x.target.reference)
	if err != nil {
		return err
	}
	of, length := blobAt{x.target.reference, replica}, response.ContentLength
	taken, ok := x.proxy.looks.begin(of, length, time.Now())
	if !ok {
		return nil
	}
	held := int64(heldBack)
	if length <= smallBlob {
		held = length
	}
	body := &hashedBody{
		ReadCloser: response.Body, of: of, x: x, hash: h, want: want, left: length - held, held: held, taken: taken,
	}
	response.Body = body
	if body.left == 0 {
		body.err = body.compare()
	}
	return body.err
}

// hashedBody is an answer that is hashed as it is handed on.
type hashedBody struct {
	io.ReadCloser
	of   blobAt
	x    *exchange
	hash hash.Hash
	want []byte
	left int64  // bytes before those that are held back
	held int64  // bytes that are held back
	tail []byte // of those, what is not handed on yet. Nil: they have not come
	err  error  // what became of it, if not nil

	taken, spent time.Duration // of the budget
	hashed       int64         // bytes
	settled      bool

	closed bool
}

func (b *hashedBody) Read(to []byte) (int, error) {
	if b.left > 0 {
		n, err := b.ReadCloser.Read(to[:min(int64(len(to)), b.left)])
		b.left -= int64(n)
		b.add(to[:n])
		return n, err
	}
	if b.tail == nil && b.err == nil {
		b.err = b.compare()
	}
	if b.err != nil {
		return 0, b.err
	}
	n := copy(to, b.tail)
	b.tail = b.tail[n:]
	if n == 0 && len(to) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (b *hashedBody) add(p []byte) {
	begun := time.Now()
	b.hash.Write(p)
	b.spent += time.Since(begun)
	b.hashed += int64(len(p))
}

// compare takes in what is held back, and finds out whether all is as it should be.
func (b *hashedBody) compare() error {
	tail := make([]byte, b.held)
	if _, err := io.ReadFull(b.ReadCloser, tail); err != nil {
		return err
	}
	b.add(tail)
	if !bytes.Equal(b.hash.Sum(nil), b.want) {
		b.x.foundDamaged(b.of)
		b.settle()
		return damagedError(b.of.replica)
	}
	b.tail = tail
	b.x.foundGood(b.of)
	b.settle()
	return nil
}

// settle says what the look has cost, once.
func (b *hashedBody) settle() {
	if b.settled {
		return
	}
	b.settled = true
	b.x.proxy.looks.budget.settle(b.taken, b.spent, b.hashed)
	b.x.proxy.metrics.hashed.Add(float64(b.hashed))
}

// Close ends the look, which counts among maxLooks for as long as something is held back.
func (b *hashedBody) Close() error {
	if !b.closed {
		b.closed = true
		b.settle()
		b.x.proxy.looks.end(b.of)
	}
	return b.ReadCloser.Close()
}

// foundDamaged withdraws a holder, and says so once.
func (x *exchange) foundDamaged(of blobAt) {
	if !x.proxy.looks.foundDamaged(of, x.target.repository, time.Now()) {
		return
	}
	x.proxy.metrics.damaged.inc(of.replica)
	x.proxy.Log.Error("a replica has a blob damaged, and is not asked for it for a day: mend it in the registry's "+
		"storage, since to push it again may keep the old bytes (docs/request-handling.md, 6.12)",
		"replica", of.replica, "repository", x.target.repository, "digest", of.digest)
}

func (x *exchange) foundGood(of blobAt) {
	if x.proxy.looks.foundGood(of, time.Now()) {
		x.proxy.Log.Info("a blob that was damaged is whole again",
			"replica", of.replica, "repository", x.target.repository, "digest", of.digest)
	}
}

// unlessDamaged puts trouble in the place of a 404 about a blob that other replicas have, if damaged: it is not absent,
// and who pushes it again may have to wait for a person.
func (x *exchange) unlessDamaged(got answer) answer {
	damaged := x.decided.request.Damaged
	if x.target.kind != router.Pull || len(damaged) == 0 || x.decided.request.Named != "" || !got.Absent() {
		return got
	}
	got.drop()
	instead := failed(got.Replica, damagedError(damaged...))
	instead.reason = router.Damaged
	return instead
}
