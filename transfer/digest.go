package transfer

import (
	"bytes"
	"hash"
	"io"
	"net/http"

	"github.com/fairlead-gateway/fairlead/oci"
)

// parseDigest returns an empty hash, which can be gone back to, and what its sum must be.
func parseDigest(digest string) (hash.Cloner, []byte, error) {
	h, want, err := oci.ParseDigest(digest)
	c, ok := h.(hash.Cloner)
	if err != nil || !ok {
		return nil, nil, oci.ErrDigest
	}
	return c, want, nil
}

func verifies(body []byte, digest string) error {
	if !oci.Verifies(body, digest) {
		return errDigest
	}
	return nil
}

// account hashes what was read. What is read for the second time must be what was sent before.
func (s *source) account(b []byte) error {
	s.offset += int64(len(b))
	s.tries.moved(s.offset)
	s.hash.Write(b)
	if s.offset == s.mark && !bytes.Equal(s.hash.Sum(nil), s.sum) {
		return s.wrong(errChanged)
	}
	if s.offset-s.states[len(s.states)-1].offset >= stride {
		return s.checkpoint()
	}
	return nil
}

// state is the hash of all bytes before an offset.
type state struct {
	offset int64
	hash   hash.Cloner
}

// stride is how many bytes are read again at most, in addition to those on their way, when an upload breaks off.
const stride = 256 << 10

// checkpoint remembers the present state, so that the source can go back to it.
func (s *source) checkpoint() error {
	h, err := s.hash.Clone()
	if err == nil {
		s.states = append(s.states, state{s.offset, h})
	}
	return err
}

// rewind goes back to an offset, which is not before the first checkpoint. It reads on from the last checkpoint before
// it, since a hash can only continue from a known state.
func (s *source) rewind(to int64) error {
	s.close()
	if s.offset > s.mark {
		s.mark, s.sum = s.offset, s.hash.Sum(nil)
	}
	for s.states[len(s.states)-1].offset > to {
		s.states = s.states[:len(s.states)-1]
	}
	from := s.states[len(s.states)-1]
	h, err := from.hash.Clone()
	if err != nil {
		return err
	}
	s.hash, s.offset, s.tries.offset = h, from.offset, from.offset
	_, err = io.CopyN(io.Discard, s, to-from.offset)
	return err
}

// verify compares the digest, after all has been read.
func (s *source) verify() error {
	if !bytes.Equal(s.hash.Sum(nil), s.want) {
		return s.wrong(errDigest)
	}
	return nil
}

// wrong is the error for content that came in full, but is not what it should be.
func (s *source) wrong(err error) error {
	return &Error{Replica: s.Name, Method: http.MethodGet, Status: http.StatusOK, Err: err}
}
