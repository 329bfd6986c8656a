package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// wireVersion says which version wrote a message. A reader takes the types and fields it knows, whatever the version:
// what would be misread without a new field needs a new type.
const wireVersion = 1

// Types of messages. Others are a later version's, and passed over.
const (
	typeAsk    = "ask"    // who owns this repository? if nobody, this replica
	typeRelay  = "relay"  // ask the arbiter that for me: I may not reach it
	typeGrants = "grants" // an answer, or an announcement
	typeSpread = "spread" // a grant that the sender wants to know heard
	typeHeard  = "heard"  // it was
	typeDigest = "digest" // do we know the same?
	typeReport = "report" // what I report of the replicas
	typeState  = "state"  // all I know
	typeNote   = "note"   // what is not the cluster's own
	typeFile   = "file"   // what the sender's file has of what all must have alike
)

// Bounds of what is sent and taken.
const (
	maxPacket      = 1200     // bytes: with encryption and headers below 1,280, the least an IPv6 path carries
	maxState       = 16 << 20 // memberlist refuses more than 20 MiB
	maxReportState = 4 << 20  // of it for reports
	maxRepair      = 2048     // grants in answer to one digest
	maxName        = 64       // bytes of a member's or replica's name, or a front's address
	maxRepository  = 255      // bytes: the distribution specification's advice for a name with its host
	maxBoot        = 32
)

type message struct {
	V    int    `json:"v"`
	Type string `json:"type"`
	From string `json:"from"`
	Boot string `json:"boot"`         // of the process that sent it
	Up   int64  `json:"up,omitempty"` // milliseconds that it has been running

	ID         uint64         `json:"id,omitempty"`  // of a question, and in its answer
	For        string         `json:"for,omitempty"` // who asks, where another asks on its behalf, and in the answer
	Repository string         `json:"repository,omitempty"`
	Replica    string         `json:"replica,omitempty"`
	Grants     []wireGrant    `json:"grants,omitempty"`
	Digest     []byte         `json:"digest,omitempty"`
	Seen       uint64         `json:"seen,omitempty"` // the version of the receiver's report that the sender has
	Reports    []memberReport `json:"reports,omitempty"`
	Note       []byte         `json:"note,omitempty"`
	Clock      int64          `json:"clock,omitempty"` // the sender's, in milliseconds since 1970; in digests

	// In digests, as are the next two: the hash of what the sender's file has of what all must have alike. In a file:
	// that of Shared.
	File     string            `json:"file,omitempty"`
	FileSeen string            `json:"fileSeen,omitempty"` // the hash of the receiver's file whose keys the sender has
	Draining bool              `json:"draining,omitempty"` // the sender has nobody come who is new
	Shared   map[string]string `json:"shared,omitempty"`   // by key, the hash of its value
}

// wireGrant has short names: it makes up nearly all that is sent. An age in place of a time lets clocks differ.
type wireGrant struct {
	Repository string `json:"r"`
	Owner      string `json:"o"`
	Wall       int64  `json:"w"`
	Logical    uint32 `json:"l,omitempty"`
	Member     string `json:"m"`
	Alone      bool   `json:"a,omitempty"`
	Revoked    bool   `json:"e,omitempty"`
	AgeMS      int64  `json:"t,omitempty"`
}

func toWire(g Grant, now time.Time) wireGrant {
	age := max(0, now.Sub(g.Last).Milliseconds())
	return wireGrant{
		g.Repository, g.Owner, g.Stamp.WallMS, g.Stamp.Logical, g.Stamp.Member, g.Alone, g.Revoked, age,
	}
}

// maxAge bounds an age before it is counted with: a larger one would overflow.
const maxAge = 1000 * time.Hour

func (w wireGrant) grant(now time.Time) Grant {
	age := time.Duration(min(w.AgeMS, maxAge.Milliseconds())) * time.Millisecond
	stamp := hlc.Stamp{WallMS: w.Wall, Logical: w.Logical, Member: w.Member}
	return Grant{w.Repository, w.Owner, stamp, w.Alone, w.Revoked, now.Add(-age)}
}

func (w wireGrant) valid() bool {
	return validRepository(w.Repository) && validName(w.Owner) && validName(w.Member) && w.Wall >= 0 && w.AgeMS >= 0
}

func validName(s string) bool { return len(s) <= maxName && printable(s) }

func validRepository(s string) bool { return len(s) <= maxRepository && printable(s) }

// printable leaves out what JSON writes longer than it is.
func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r)
	})
}

// decode reads a message. Grants and reports that break a rule are left out one by one.
func decode(data []byte) (message, error) {
	var m message
	if len(data) > maxState {
		return m, fmt.Errorf("%d bytes are too many", len(data))
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("no message: %w", err)
	}
	if m.V < 1 || !validName(m.From) || m.Boot == "" || len(m.Boot) > maxBoot || m.Up < 0 {
		return m, errors.New("no sender")
	}
	if (m.Type == typeAsk || m.Type == typeRelay) && (!validRepository(m.Repository) || !validName(m.Replica)) {
		return m, errors.New("no question")
	}
	if (m.Type == typeSpread || m.Type == typeHeard) && !validRepository(m.Repository) {
		return m, errors.New("of no repository")
	}
	if m.For != "" && !validName(m.For) {
		return m, errors.New("a question of nobody")
	}
	if m.Type == typeFile && !validShared(m.File, m.Shared) {
		return m, errors.New("of no file")
	}
	if m.File != "" && !validHash(m.File) || m.FileSeen != "" && !validHash(m.FileSeen) {
		return m, errors.New("of a file without a hash")
	}
	m.Grants = keepValid(m.Grants, wireGrant.valid)
	m.Reports = keepValid(m.Reports, memberReport.valid)
	return m, nil
}

func keepValid[T any](list []T, valid func(T) bool) []T {
	kept := list[:0]
	for _, v := range list {
		if valid(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

func (m message) encode() []byte { return marshal(m) }

func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // only for types that JSON does not have
	}
	return data
}

// packets divides grants over messages that fit a packet each. Two grants with the longest names there are do.
func packets(m message, grants []wireGrant) [][]byte {
	var out [][]byte
	for len(grants) > 0 {
		count := min(len(grants), 8)
		for m.Grants = grants[:count]; count > 1 && len(m.encode()) > maxPacket; m.Grants = grants[:count] {
			count--
		}
		out = append(out, m.encode())
		grants = grants[count:]
	}
	return out
}

// fit drops reports and grants that are too many for one state, the first grants first: they are the least recently
// used.
func fit(m message) message {
	reports := m.Reports
	m.Reports = nil
	size := 0
	for _, r := range reports {
		if size += len(message{Reports: []memberReport{r}}.encode()); size <= maxReportState {
			m.Reports = append(m.Reports, r)
		}
	}
	for i, size := len(m.Grants)-1, 0; i >= 0; i-- {
		g := m.Grants[i]
		size += len(g.Repository) + len(g.Owner) + len(g.Member) + wireGrantRest
		if size > maxState-maxReportState-maxPacket {
			m.Grants = m.Grants[i+1:]
			break
		}
	}
	return m
}

// wireGrantRest is the most a grant takes beside its names.
const wireGrantRest = 128
