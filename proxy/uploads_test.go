package proxy

import (
	"testing"
	"time"
)

// TestOpenUploads: a client is full of what it has begun and not finished, in one repository, and what is not heard of
// is forgotten.
func TestOpenUploads(t *testing.T) {
	const maxPushing = 100
	a, b := clientPrefix(alice), clientPrefix(bob)
	alices, bobs, elsewhere := uploadsKey{a, "app"}, uploadsKey{b, "app"}, uploadsKey{a, "other"}
	u, now := newOpenUploads(time.Minute, maxPushing), start
	for range maxBegun {
		if u.full(alices, now) {
			t.Fatal("full too soon")
		}
		u.note(alices, 1, now)
	}
	if !u.full(alices, now) || u.full(bobs, now) || u.full(elsewhere, now) {
		t.Error("who is full is not who has begun all")
	}
	u.note(alices, -1, now)
	if u.full(alices, now) {
		t.Error("full after one was finished")
	}
	u.note(alices, 1, now)
	if soon := now.Add(time.Minute / 2); u.full(alices, soon) {
		t.Error("nothing is forgotten")
	}
	u.note(bobs, 1, now)
	u.note(bobs, -3, now)
	if u.of.Contains(bobs) {
		t.Error("who has finished all is remembered")
	}
	for i := range 2 * maxPushing {
		u.note(uploadsKey{a, string(rune(i))}, 1, now)
	}
	if u.of.Len() > maxPushing {
		t.Errorf("%d are remembered", u.of.Len())
	}
}
