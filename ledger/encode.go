package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// rowVersion is raised when a row would be misread without a new field. A reader refuses rows that it does not know,
// and takes them when it does.
const (
	rowVersion     = 1
	settingVersion = 2 // of a setting
)

func versionOf(r Reference) int {
	if r.isSetting() {
		return settingVersion
	}
	return rowVersion
}

// wireRow has short names: rows make up nearly all that is stored and sent.
type wireRow struct {
	V               int               `json:"v"`
	Repository      string            `json:"r"`
	Name            string            `json:"n"`
	Blob            bool              `json:"b,omitempty"`
	Digest          string            `json:"d,omitempty"` // left out where the name is the digest
	MediaType       string            `json:"m,omitempty"`
	Config          string            `json:"g,omitempty"`
	Size            int64             `json:"s,omitempty"`
	Value           string            `json:"u,omitempty"`
	Implied         bool              `json:"a,omitempty"`
	Replica         string            `json:"p"`
	Stamp           wireStamp         `json:"t"`
	Deleted         bool              `json:"x,omitempty"`
	DigestDeletedMS int64             `json:"y,omitempty"`
	Confirmed       []string          `json:"c,omitempty"`
	Seen            []wireStamp       `json:"k,omitempty"`
	Changes         map[string]uint64 `json:"o,omitempty"`
}

type wireStamp struct {
	WallMS  int64  `json:"w"`
	Logical uint32 `json:"l,omitempty"`
	Member  string `json:"m"`
}

func (r Row) wire() wireRow {
	w := wireRow{
		V: versionOf(r.Reference), Repository: r.Repository, Name: r.Name, Blob: r.Blob,
		Digest: r.Digest, MediaType: r.MediaType, Config: r.Config, Size: r.Size, Implied: r.Implied,
		Replica: r.Replica, Stamp: wireStamp(r.Stamp), Deleted: r.Deleted, DigestDeletedMS: r.DigestDeletedMS,
		Confirmed: r.Confirmed, Changes: r.Changes, Value: r.Value,
	}
	if r.IsDigest() {
		w.Digest = ""
	}
	for _, s := range r.Seen {
		w.Seen = append(w.Seen, wireStamp(s))
	}
	return w
}

// row of a later version keeps only its Changes, and is refused by check.
func (w wireRow) row() Row {
	if w.V != versionOf(Reference{Repository: w.Repository}) {
		return Row{Changes: w.Changes}
	}
	r := Row{Changes: w.Changes, Entry: Entry{
		Reference: Reference{w.Repository, w.Name, w.Blob},
		Digest:    w.Digest, MediaType: w.MediaType, Config: w.Config, Size: w.Size, Implied: w.Implied,
		Replica: w.Replica, Stamp: hlc.Stamp(w.Stamp), Deleted: w.Deleted, DigestDeletedMS: w.DigestDeletedMS,
		Confirmed: w.Confirmed, Value: w.Value,
	}}
	if r.IsDigest() {
		r.Digest = r.Name
	}
	for _, s := range w.Seen {
		r.Seen = append(r.Seen, hlc.Stamp(s))
	}
	return r
}

func (r Row) encode() []byte { return marshal(r.wire()) }

func decodeRow(data []byte) (Row, error) {
	var w wireRow
	if err := json.Unmarshal(data, &w); err != nil {
		return Row{}, fmt.Errorf("%w: no row: %w", ErrInvalid, err)
	}
	r := w.row()
	return r, r.check()
}

// MarshalJSON is the row as part of a page or an event.
func (r Row) MarshalJSON() ([]byte, error) { return r.encode(), nil }

// UnmarshalJSON leaves it to MergePage to refuse the row.
func (r *Row) UnmarshalJSON(data []byte) error {
	var w wireRow
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*r = w.row()
	return nil
}

func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // only for types that JSON does not have
	}
	return data
}
