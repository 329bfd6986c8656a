package cluster

import (
	"bytes"
	"testing"
)

func TestNotes(t *testing.T) {
	t.Parallel()
	type note struct {
		from string
		data []byte
	}
	got := make(chan note, 10)
	take := func(from string, data []byte) { got <- note{from, data} }
	_, nodes := three(t, options{onNote: take}, options{onNote: take}, options{})
	large := bytes.Repeat([]byte("large"), 100_000)
	for _, data := range [][]byte{[]byte("small"), large} {
		nodes[0].Note('t', "gw2", data)
		if n := <-got; n.from != "gw1" || !bytes.Equal(n.data, data) {
			t.Errorf("%d bytes from %s", len(n.data), n.from)
		}
	}
	nodes[2].NoteAll('t', []byte("all"))
	for range 2 {
		if n := <-got; n.from != "gw3" || string(n.data) != "all" {
			t.Errorf("%q from %s", n.data, n.from)
		}
	}
	nodes[0].Note('u', "gw2", []byte("that nobody takes"))
	nodes[0].Note('t', "gw1", []byte("myself"))
	nodes[0].Note('t', "nobody", []byte("nobody"))
	nodes[0].NoteAll('t', make([]byte, maxNote+1))
	nodes[0].Note('t', "gw2", []byte("last"))
	if n := <-got; string(n.data) != "last" {
		t.Errorf("%.20q from %s", n.data, n.from)
	}
}
