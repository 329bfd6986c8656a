package ledger

import "testing"

func TestChanged(t *testing.T) {
	l, _ := one(t)
	changed := func(since <-chan struct{}) bool {
		select {
		case <-since:
			return true
		default:
			return false
		}
	}
	since := l.Changed()
	if changed(since) {
		t.Fatal("nothing was written")
	}
	e := push(t, l, tag("v1"), digest(1), "west")
	if !changed(since) {
		t.Error("a push is a change")
	}
	since = l.Changed()
	must(t, l.Confirm(e, "east"))
	if !changed(since) {
		t.Error("a confirmation is a change")
	}
	since = l.Changed()
	must(t, l.Confirm(e, "east"))
	if changed(since) {
		t.Error("what is known already is none")
	}
}
