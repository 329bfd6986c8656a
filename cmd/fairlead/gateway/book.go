package gateway

import (
	"errors"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// book is the record as those see it who copy and audit in this gateway's own name. One that is not current is not
// read: who goes by it would bring back what is gone.
type book struct{ *record }

func (b book) Pending(replica string, after ledger.Cursor, limit int) ([]ledger.Entry, ledger.Cursor, error) {
	if err := b.known(); err != nil {
		return nil, "", err
	}
	return b.ledger.Pending(replica, after, limit)
}

func (b book) Get(what ledger.Reference) (ledger.Entry, bool, error) {
	if err := b.known(); err != nil {
		return ledger.Entry{}, false, err
	}
	return b.ledger.Get(what)
}

func (b book) Tagged(repository, digest string, limit int) ([]ledger.Entry, error) {
	return b.ledger.Tagged(repository, digest, limit)
}

func (b book) Repositories(after string, limit int) ([]string, error) {
	if err := b.known(); err != nil {
		return nil, err
	}
	return b.ledger.Repositories(after, limit)
}

func (b book) List(repository, after string, limit int) ([]ledger.Entry, error) {
	if err := b.known(); err != nil {
		return nil, err
	}
	return b.ledger.List(repository, after, limit)
}

func (b book) Confirm(e ledger.Entry, replica string) error {
	return b.ledger.Confirm(e, replica)
}

func (b book) Found(what ledger.Reference, c transfer.Content, replica string) error {
	return withAnyType(c, func(content ledger.Content) error {
		_, err := b.ledger.Found(what, content, replica)
		return err
	})
}

func (b book) PushOver(old ledger.Entry, c transfer.Content, replica string) (done bool, err error) {
	err = withAnyType(c, func(content ledger.Content) error {
		_, done, err = b.ledger.PushOver(old, content, replica)
		return err
	})
	return done, err
}

// withAnyType records without the media type what cannot be recorded with it: clients may write anything there.
func withAnyType(c transfer.Content, record func(ledger.Content) error) error {
	content := ledger.Content{Digest: c.Digest, MediaType: c.MediaType, Size: c.Size}
	err := record(content)
	if errors.Is(err, ledger.ErrInvalid) && content.MediaType != "" {
		content.MediaType = ""
		err = record(content)
	}
	return err
}
