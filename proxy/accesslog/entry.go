// Package accesslog writes a line of JSON for each request of a client. No line is lost without being counted, and no
// request waits for one.
package accesslog

import (
	"net/netip"
	"strconv"
	"time"
)

// Entry is one request, when it has ended. What is empty is left out of its line.
type Entry struct {
	Time      time.Time     // when the request's header had been read
	Duration  time.Duration // until the last byte of the answer was handed to the client
	FirstByte time.Duration // until the answer began; 0: there was none
	Client    netip.Addr    // as trusted proxies say it
	Method    string
	Host      string
	Path      string // escaped, as it came
	Query     string // raw: the line has of it what is no secret
	Protocol  string // such as HTTP/1.1
	Status    int    // 444: the connection was broken off; 499: the client went away before there was an answer
	Sent      int64  // bytes of the answer's body
	Received  int64  // bytes of the request's body
	Kind      string // router.Kind
	// Repository and Reference are what the path names: a tag, or a digest.
	Repository, Reference string
	Replica               string // which answered, or was asked last
	Reason                string // router.Reason
	ResumedAt             string // replicas that went on with the answer's body, in order
	UserAgent             string
	TraceID               string // of the client's traceparent
	Error                 string // why the gateway refused the request, or broke the answer off
}

// MaxLine is the longest line in bytes, with its end. Texts are cut where they would make it longer.
const MaxLine = 6 << 10

// Bounds of texts in bytes, as they stand in the line. A path of the registry API has a name of 255 and a reference of
// 128, or of 135 for a digest by SHA-512.
const (
	maxWord  = 64
	maxName  = 264
	maxText  = 512
	maxQuery = 512
	maxPath  = 2048
)

// timeLayout is that of RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// AppendTo appends the entry's line: one JSON object in ASCII, and a line feed.
func (e Entry) AppendTo(line []byte) []byte {
	line = append(line, `{"time":"`...)
	line = e.Time.UTC().AppendFormat(line, timeLayout)
	line = append(line, '"')
	if e.Client.IsValid() {
		line = appendText(line, "client", e.Client.String(), maxWord)
	}
	line = appendText(line, "method", e.Method, maxWord)
	line = appendText(line, "host", e.Host, maxName)
	line = appendText(line, "path", e.Path, maxPath)
	line = appendText(line, "query", public(e.Query), maxQuery)
	line = appendText(line, "protocol", e.Protocol, maxWord)
	line = appendNumber(line, "status", int64(e.Status))
	line = appendNumber(line, "bytes_sent", e.Sent)
	line = appendNumber(line, "bytes_received", e.Received)
	line = appendMilliseconds(line, "duration_ms", e.Duration)
	if e.FirstByte > 0 {
		line = appendMilliseconds(line, "first_byte_ms", e.FirstByte)
	}
	line = appendText(line, "kind", e.Kind, maxWord)
	line = appendText(line, "repository", e.Repository, maxName)
	line = appendText(line, "reference", e.Reference, maxName)
	line = appendText(line, "replica", e.Replica, maxWord)
	line = appendText(line, "reason", e.Reason, maxWord)
	line = appendText(line, "resumed_at", e.ResumedAt, maxText)
	line = appendText(line, "user_agent", e.UserAgent, maxText)
	line = appendText(line, "trace_id", e.TraceID, maxWord)
	line = appendText(line, "error", e.Error, maxText)
	return append(line, '}', '\n')
}

func appendKey(line []byte, key string) []byte {
	line = append(line, `,"`...)
	line = append(line, key...)
	return append(line, `":`...)
}

func appendNumber(line []byte, key string, n int64) []byte {
	return strconv.AppendInt(appendKey(line, key), n, 10)
}

func appendMilliseconds(line []byte, key string, d time.Duration) []byte {
	return strconv.AppendFloat(appendKey(line, key), float64(d.Microseconds())/1000, 'f', 3, 64)
}
