package ledger

import (
	"fmt"
	"unicode/utf8"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// settings is where settings have their rows: what people change while gateways run. No registry takes such a
// repository. They are exchanged as all else is, and their tombstones are kept for ever: an old copy of a file brings
// nothing back.
const settings = "_settings"

// maxValue bounds a setting: a certificate with its chain and key has some 10 KB.
const maxValue = 32 << 10 // bytes

func (r Reference) isSetting() bool { return r.Repository == settings }

// Setting is the last that somebody has set a key to.
type Setting struct {
	Key     string // up to 300 printable bytes, without a colon, white space, quotes, backslashes, &, < and >
	Value   string // up to 32 KiB of UTF-8; empty if Deleted
	Deleted bool
	Stamp   hlc.Stamp // of the write, and through which gateway it came
}

func (s Setting) entry() Entry {
	return Entry{Reference: Reference{Repository: settings, Name: s.Key}, Value: s.Value, Deleted: s.Deleted}
}

func (e Entry) validSetting() error {
	switch {
	case e.IsDigest() || e.Blob:
		return fmt.Errorf("%w: key %.300q", ErrInvalid, e.Name)
	case len(e.Value) > maxValue || !utf8.ValidString(e.Value) || e.Deleted && e.Value != "":
		return fmt.Errorf("%w: value of %s, of %d bytes", ErrInvalid, e.Name, len(e.Value))
	case e.Digest != "" || e.MediaType != "" || e.Config != "" || e.Size != 0 || e.DigestDeletedMS != 0:
		return fmt.Errorf("%w: setting %s", ErrInvalid, e.Name)
	}
	return nil
}

// Set sets keys, all of them or none, durably. Of two writes of a key the later one holds on all gateways. Stamps are
// given here.
func (l *Ledger) Set(all ...Setting) error {
	entries := make([]Entry, len(all))
	for i, s := range all {
		entries[i] = s.entry()
		entries[i].Replica = l.member
		if err := entries[i].valid(); err != nil {
			return err
		}
	}
	return l.submit(func(t *tx) error {
		for _, e := range entries {
			old, _ := t.row(e.key())
			e.Stamp = l.clock.Now(l.now())
			t.set = true
			if err := t.changeRow(old, Row{Entry: e}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Settings lists the keys that begin with a prefix, in their order, and those that were deleted.
func (l *Ledger) Settings(prefix string) (all []Setting, err error) {
	err = l.read(func(t *tx) {
		begin, page := settings+separator, atMost(maxPageRows)
		for after := ""; ; {
			keys := t.keys(bucketEntries, begin+prefix, after, page)
			for _, e := range t.entries(keys) {
				all = append(all, Setting{Key: e.Name, Value: e.Value, Deleted: e.Deleted, Stamp: e.Stamp})
			}
			if len(keys) < page {
				return
			}
			after = keys[len(keys)-1]
		}
	})
	return all, err
}

// ForgetSettings takes keys away here alone, without a trace: those that all gateways take away by the same rule.
func (l *Ledger) ForgetSettings(keys ...string) error {
	return l.submit(func(t *tx) error {
		for _, key := range keys {
			row, ok := t.row(Setting{Key: key}.entry().key())
			if !ok {
				continue
			}
			if err := t.replace(row, Row{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// SettingsChanged has a signal whenever settings have changed, here or on another gateway: one for several changes.
func (l *Ledger) SettingsChanged() <-chan struct{} { return l.settings }

// settingsChanged holds one signal.
type settingsChanged chan struct{}

func (c settingsChanged) tell() {
	select {
	case c <- struct{}{}:
	default:
	}
}
