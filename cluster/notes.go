package cluster

// maxNote bounds a note, in bytes.
const maxNote = 2 << 20

// Note tells a live member something that is the program's own and not the cluster's. It may be lost, and does not
// wait.
func (c *Cluster) Note(to string, data []byte) {
	if m, ok := c.members.get(to); ok && to != c.cfg.Name {
		c.note(data, m)
	}
}

// NoteAll tells it to all others.
func (c *Cluster) NoteAll(data []byte) { c.note(data, c.members.others()...) }

func (c *Cluster) note(data []byte, to ...member) {
	if len(data) > maxNote {
		c.metrics.drop(droppedFull)
		return
	}
	m := c.message(typeNote)
	m.Note = data
	encoded := m.encode()
	for _, member := range to {
		c.send(member, typeNote, encoded)
	}
}
