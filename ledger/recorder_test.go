package ledger

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// copiesTo are the replicas that copies come to, and what is looked at there.
type copiesTo struct {
	replicas []string
	checked  []string
}

func (c *copiesTo) Copies(replica, _ string) bool { return slices.Contains(c.replicas, replica) }
func (c *copiesTo) Verify(e Entry, replica string) {
	c.checked = append(c.checked, e.Name+" at "+replica)
}

func newTestRecorder(l *Ledger, others Others, to *copiesTo) *Recorder {
	return NewRecorder(RecorderOptions{
		Ledger: l, Others: others, Copying: to, Registerer: prometheus.NewRegistry(),
		Log: slog.New(slog.DiscardHandler), Unrecorded: func() bool { return false },
	})
}

// TestGone: that a replica does not have what was deleted is the last word where no copy of it can be under way.
func TestGone(t *testing.T) {
	l, _ := one(t)
	to := &copiesTo{replicas: []string{"west", "north"}}
	r := newTestRecorder(l, nil, to)
	must(t, r.Delete(tag("v1"), "west", Request{}))
	for _, replica := range []string{"north", "east"} {
		r.Gone(tag("v1"), replica)
	}
	if known, _ := r.Known(tag("v1")); !slices.Equal(known.Confirmed, []string{"east", "west"}) {
		t.Errorf("confirmed by %v", known.Confirmed)
	}
	must(t, r.Push(tag("v1"), Content{Digest: digest(1)}, "west", Request{}))
	r.Gone(tag("v1"), "east") // an answer to the DELETE that came late
	if known, _ := r.Known(tag("v1")); !slices.Equal(known.Confirmed, []string{"west"}) {
		t.Errorf("what was pushed again is said to be at %v", known.Confirmed)
	}
	if !slices.Equal(to.checked, []string{"v1 at east"}) {
		t.Errorf("%q were looked at", to.checked)
	}
}

// elsewhere are other gateways that record, or say why not.
type elsewhere struct {
	problem error
	current bool
	writes  []Write
}

func (e *elsewhere) Elsewhere(_ context.Context, w Write) error {
	e.writes = append(e.writes, w)
	return e.problem
}
func (e *elsewhere) Told(context.Context) {}
func (e *elsewhere) Current() bool        { return e.current }

// TestRecorder: what is accepted by a replica and cannot be recorded, here or elsewhere, is refused to its client.
func TestRecorder(t *testing.T) {
	full := &Ledger{trouble: errors.Join(ErrUnavailable, syscall.ENOSPC), member: "gw1"}
	for _, c := range []struct {
		name   string
		closed bool
		others *elsewhere
		accept bool
		what   Reference
		want   error
		asked  int
	}{
		{name: "recorded", what: tag("v1")},
		{name: "nothing that can be recorded", what: tag("white space")},
		{name: "not here", closed: true, what: tag("v1"), want: ErrUnavailable},
		{name: "not here, and accepted all the same", closed: true, accept: true, what: tag("v1")},
		{name: "by another gateway", closed: true, others: &elsewhere{}, what: tag("v1"), asked: 1},
		{name: "by nobody", closed: true, others: &elsewhere{problem: errNobody}, what: tag("v1"), want: ErrUnavailable,
			asked: 1},
		{name: "here, so that nobody is asked", others: &elsewhere{problem: errNobody}, what: tag("v1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, _ := one(t)
			if c.closed {
				l = start(t, t.TempDir(), "gw1", newWall())
				must(t, l.Close())
			}
			var others Others
			if c.others != nil {
				others = c.others
			}
			r := newTestRecorder(l, others, &copiesTo{})
			r.Unrecorded = func() bool { return c.accept }
			err := r.Push(c.what, Content{Digest: digest(1)}, "west", Request{})
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.others != nil && len(c.others.writes) != c.asked {
				t.Errorf("asked others %d times", len(c.others.writes))
			}
		})
	}
	if got := withoutPaths(full.trouble); !errors.Is(got, syscall.ENOSPC) || got.Error() != syscall.ENOSPC.Error() {
		t.Errorf("a client is told %v", got)
	}
}

// TestMediaTypes: what clients write there may be anything, and keeps nothing from being recorded.
func TestMediaTypes(t *testing.T) {
	l, _ := one(t)
	r := newTestRecorder(l, nil, &copiesTo{})
	must(t, r.Push(tag("v1"), Content{Digest: digest(1), MediaType: "white space", Config: "\n"}, "west", Request{}))
	if known, ok := r.Known(tag("v1")); !ok || known.MediaType != "" || known.Config != "" {
		t.Errorf("%+v", known)
	}
	c := Current{Ledger: l}
	must(t, c.Found(tag("v2"), Content{Digest: digest(2), MediaType: "white space"}, "west"))
	if e := get(t, l, tag("v2")); e.MediaType != "" || e.Digest != digest(2) {
		t.Errorf("%+v", e)
	}
}

// TestNotCurrent: a ledger that does not know what others know is not gone by.
func TestNotCurrent(t *testing.T) {
	l, _ := one(t)
	push(t, l, tag("v1"), digest(1), "west")
	others := &elsewhere{}
	c := Current{l, others}
	for _, current := range []bool{false, true} {
		others.current = current
		_, _, pending := c.Pending("east", "", 10)
		_, _, got := c.Get(tag("v1"))
		_, repositories := c.Repositories("", 10)
		_, listed := c.List("team/app", "", 10)
		for i, err := range []error{pending, got, repositories, listed} {
			if (err == nil) != current || err != nil && !errors.Is(err, ErrUnavailable) {
				t.Errorf("current %v, call %d: %v", current, i, err)
			}
		}
		to := &copiesTo{}
		r := newTestRecorder(l, others, to)
		if r.Stale() == current {
			t.Errorf("current %v: stale %v", current, r.Stale())
		}
		r.Gone(tag("v1"), "west")
		if looked := len(to.checked) == 1; looked != current {
			t.Errorf("current %v: %q were looked at", current, to.checked)
		}
	}
}
