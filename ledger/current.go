package ledger

import (
	"errors"
	"fmt"
)

// Current is a ledger as those see it who copy and audit in this gateway's own name. While it is not current it is not
// read: whoever goes by it would bring back what is gone.
type Current struct {
	*Ledger
	Others Others // nil: there are none
}

// IsCurrent reports whether the ledger can be written, and knows what other gateways know.
func (c Current) IsCurrent() bool { return current(c.Ledger, c.Others) }

func current(l *Ledger, others Others) bool {
	if others == nil {
		return l.Available() == nil
	}
	return others.Current()
}

func (c Current) check() error {
	if c.IsCurrent() {
		return nil
	}
	return fmt.Errorf("%w, or does not know yet what other gateways have recorded", ErrUnavailable)
}

// Pending is Ledger.Pending, or ErrUnavailable.
func (c Current) Pending(replica string, after Cursor, limit int) ([]Entry, Cursor, error) {
	if err := c.check(); err != nil {
		return nil, "", err
	}
	return c.Ledger.Pending(replica, after, limit)
}

// Get is Ledger.Get, or ErrUnavailable.
func (c Current) Get(what Reference) (Entry, bool, error) {
	if err := c.check(); err != nil {
		return Entry{}, false, err
	}
	return c.Ledger.Get(what)
}

// Repositories is Ledger.Repositories, or ErrUnavailable.
func (c Current) Repositories(after string, limit int) ([]string, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return c.Ledger.Repositories(after, limit)
}

// List is Ledger.List, or ErrUnavailable.
func (c Current) List(repository, after string, limit int) ([]Entry, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return c.Ledger.List(repository, after, limit)
}

// Found is Ledger.Found, without a media type that cannot be recorded.
func (c Current) Found(what Reference, content Content, replica string) error {
	return content.orUntyped(func(content Content) error {
		_, err := c.Ledger.Found(what, content, replica)
		return err
	})
}

// PushOver is Ledger.PushOver, without a media type that cannot be recorded.
func (c Current) PushOver(old Entry, content Content, replica string) (done bool, err error) {
	err = content.orUntyped(func(content Content) error {
		_, done, err = c.Ledger.PushOver(old, content, replica)
		return err
	})
	return done, err
}

// orUntyped records content, without its media types if it is refused with them: clients may write anything there.
func (c Content) orUntyped(record func(Content) error) error {
	err := record(c)
	if errors.Is(err, ErrInvalid) && c.MediaType+c.Config != "" {
		c.MediaType, c.Config = "", ""
		err = record(c)
	}
	return err
}
