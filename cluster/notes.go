package cluster

import "sync"

// maxNote bounds a note, in bytes.
const maxNote = 2 << 20

// NoteKind says what a note is about, so that each part of a program has its own.
type NoteKind byte

// noteHandlers are who takes the notes of each kind.
type noteHandlers struct {
	mu sync.Mutex
	of map[NoteKind]func(from string, data []byte) // Guarded by mu.
}

// HandleNotes has notes of a kind taken, which must not wait. Notes of a kind that nobody takes are dropped.
func (c *Cluster) HandleNotes(kind NoteKind, take func(from string, data []byte)) {
	c.notes.mu.Lock()
	defer c.notes.mu.Unlock()
	c.notes.of[kind] = take
}

// handle hands a note to whoever takes its kind.
func (h *noteHandlers) handle(from string, note []byte) {
	if len(note) == 0 {
		return
	}
	h.mu.Lock()
	take := h.of[NoteKind(note[0])]
	h.mu.Unlock()
	if take != nil {
		take(from, note[1:])
	}
}

// Note tells a live member something that is the program's own and not the cluster's. It may be lost, and does not
// wait.
func (c *Cluster) Note(kind NoteKind, to string, data []byte) {
	if m, ok := c.members.get(to); ok && to != c.cfg.Name {
		c.note(kind, data, m)
	}
}

// NoteAll tells it to all others.
func (c *Cluster) NoteAll(kind NoteKind, data []byte) { c.note(kind, data, c.members.others()...) }

func (c *Cluster) note(kind NoteKind, data []byte, to ...member) {
	if len(data) > maxNote {
		c.metrics.drop(droppedFull)
		return
	}
	m := c.message(typeNote)
	m.Note = append([]byte{byte(kind)}, data...)
	encoded := m.encode()
	for _, member := range to {
		c.send(member, typeNote, encoded)
	}
}
