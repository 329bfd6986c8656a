package notify

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/notify/webhook"
	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// eventOf is what subscribers are told of what was recorded here. own is the request of a copy: no client's, but ours.
func eventOf(e ledger.Event, own webhook.Request) (told webhook.Event, ok bool) {
	entry, deletion := e.Entry, e.Entry.Deleted
	if entry.Blob || deletion && entry.IsTag() {
		return webhook.Event{}, false
	}
	told = webhook.Event{Time: time.UnixMilli(e.WallMS), Action: webhook.PushOf(entry.Config), Region: e.Replica,
		Target: targetOf(entry), Request: own}
	told.Request.Method = http.MethodPut
	if deletion {
		told.Action, told.Request.Method = webhook.DeleteOf(entry.Config), http.MethodDelete
	}
	if e.Request != (ledger.Request{}) {
		told.Request = webhook.Request{Host: e.Request.Host, Method: e.Request.Method, UserAgent: e.Request.UserAgent}
	}
	told.ID, told.Request.ID = idOf(entry, string(told.Action), e.Replica), idOf(entry, "request", e.Replica)
	return told, true
}

// everywhereOf is told once all replicas have what was pushed.
func everywhereOf(pushed ledger.Event, own webhook.Request, now time.Time) webhook.Event {
	told, _ := eventOf(pushed, own)
	told.ID, told.Time, told.Action, told.Region = idOf(pushed.Entry, string(subscription.Replicated), ""), now,
		subscription.Replicated, ""
	return told
}

func targetOf(e ledger.Entry) webhook.Target {
	t := webhook.Target{MediaType: e.MediaType, Size: e.Size, Digest: e.Digest, Repository: e.Repository}
	if e.IsTag() {
		t.Tag = e.Name
	}
	return t
}

// idOf is a UUID (RFC 9562, version 8) that whoever tells of the same again makes again. A write is known by its stamp.
func idOf(e ledger.Entry, what, replica string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		what, replica, e.Repository, e.Name, fmt.Sprint(e.Stamp.WallMS), fmt.Sprint(e.Stamp.Logical), e.Stamp.Member,
	}, "\x00")))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// progress is how far a push has come.
type progress int

const (
	underWay   progress = iota
	everywhere          // every replica that takes copies has it
	overtaken           // something newer has its name, or it was deleted: nobody copies it any more
)

// progressOf is what an entry says about the push with that stamp.
func progressOf(pushed hlc.Stamp, now ledger.Entry, takers []string) progress {
	switch order := now.Stamp.Compare(pushed); {
	case order > 0 || order == 0 && now.Deleted:
		return overtaken
	case order == 0 && !slices.ContainsFunc(takers, func(name string) bool {
		return !slices.Contains(now.Confirmed,
			name)
	}):
		return everywhere
	}
	return underWay
}
