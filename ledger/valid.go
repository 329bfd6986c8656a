package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// ErrInvalid is what is refused because no such thing can be recorded.
var ErrInvalid = errors.New("refused by the ledger")

func validText(s string, most int) bool { return len(s) <= most && printable(s) }

// printable leaves out what separates the parts of a key, and what JSON writes longer than it is.
func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r)
	})
}

func validDigest(s string) bool {
	algorithm, hash, ok := strings.Cut(s, ":")
	return ok && algorithm != "" && hash != "" && validText(s, maxReference)
}

func (r Reference) check() error {
	switch {
	case !validText(r.Repository, maxRepository):
		return fmt.Errorf("%w: repository %.300q", ErrInvalid, r.Repository)
	case !validText(r.Name, maxReference) || r.IsDigest() && !validDigest(r.Name) || r.Blob && !r.IsDigest():
		return fmt.Errorf("%w: reference %.300q", ErrInvalid, r.Name)
	}
	return nil
}

func checkReplica(name string) error {
	if !validText(name, maxMember) || strings.Contains(name, holderMark) {
		return fmt.Errorf("%w: replica %.300q", ErrInvalid, name)
	}
	return nil
}

// checkHolder judges a replica's name, with or without an incarnation.
func checkHolder(holder string) error {
	name, incarnation, _ := strings.Cut(holder, holderMark)
	if len(incarnation) > maxIncarnation || !printable(holder) || strings.Contains(incarnation, holderMark) {
		return fmt.Errorf("%w: holder %.300q", ErrInvalid, holder)
	}
	return checkReplica(name)
}

// check judges what somebody asks to have recorded.
func (e Entry) check() error {
	if e.isReserved() {
		return fmt.Errorf("%w: repository %.300q", ErrInvalid, e.Repository)
	}
	return e.valid()
}

func (e Entry) valid() error {
	if err := e.Reference.check(); err != nil {
		return err
	}
	if err := checkReplica(e.Replica); err != nil {
		return err
	}
	if e.isSetting() {
		return e.validSetting()
	}
	unknown := e.Digest == "" && e.Deleted && !e.IsDigest()
	switch {
	case !unknown && !validDigest(e.Digest) || e.IsDigest() && e.Digest != e.Name:
		return fmt.Errorf("%w: digest %.300q of %s", ErrInvalid, e.Digest, e.Name)
	case e.MediaType != "" && !validText(e.MediaType, maxMediaType):
		return fmt.Errorf("%w: media type %.300q", ErrInvalid, e.MediaType)
	case e.Config != "" && !validText(e.Config, maxMediaType):
		return fmt.Errorf("%w: media type of a config %.300q", ErrInvalid, e.Config)
	case e.Value != "":
		return fmt.Errorf("%w: a value of what is no setting", ErrInvalid)
	case e.Size < 0:
		return fmt.Errorf("%w: size %d", ErrInvalid, e.Size)
	case e.DigestDeletedMS < 0:
		return fmt.Errorf("%w: time of deletion %d", ErrInvalid, e.DigestDeletedMS)
	}
	return nil
}

// check judges a row that somebody else has made.
func (r Row) check() error {
	if err := r.valid(); err != nil {
		return err
	}
	if r.isRenewal() && (!r.Deleted || checkReplica(r.Name) != nil) {
		return fmt.Errorf("%w: renewal of %.300q", ErrInvalid, r.Name)
	}
	validStamp := func(s hlc.Stamp) bool { return s.WallMS >= 0 && validText(s.Member, maxMember) }
	switch {
	case !validStamp(r.Stamp) || len(r.Seen) > maxSeen || !slices.IsSortedFunc(r.Seen, hlc.Stamp.Compare):
		return fmt.Errorf("%w: stamps of %s", ErrInvalid, r.Name)
	case len(r.Confirmed) > maxConfirmed || !slices.IsSorted(r.Confirmed):
		return fmt.Errorf("%w: confirmations of %s", ErrInvalid, r.Name)
	case len(r.Changes) > maxChanges:
		return fmt.Errorf("%w: changes of %s", ErrInvalid, r.Name)
	}
	for _, s := range r.Seen {
		if !validStamp(s) {
			return fmt.Errorf("%w: stamps of %s", ErrInvalid, r.Name)
		}
	}
	for _, name := range r.Confirmed {
		if err := checkHolder(name); err != nil {
			return err
		}
	}
	return checkVector(r.Changes)
}

// checkVector: origins are ours to print and to sort.
func checkVector(v map[string]uint64) error {
	for origin := range v {
		if !validText(origin, maxOrigin) {
			return fmt.Errorf("%w: origin %.300q", ErrInvalid, origin)
		}
	}
	return nil
}
