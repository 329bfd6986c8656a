package router

// Presence is what a replica says about a part of a manifest.
type Presence int

// What a replica may say. A refusal says nothing.
const (
	Unknown Presence = iota
	Has
	Lacks
)

// Holder is a replica that may have a part.
type Holder struct {
	Replica string
	Presence
}

// Mend is what is to be done about one part before its manifest may be committed. The zero value is nothing.
type Mend struct {
	From string // copy it from this replica
	Hole bool   // nobody has it: committed, the manifest would be damaged
	Lost bool   // nobody who can be asked has it, and not everybody can be
}

// MendPart decides about a part of a manifest that goes to owner. others are all other replicas, in the order in which
// they are to be copied from. optional: without it the manifest is as its author may have wanted it.
func MendPart(owner Presence, others []Holder, optional bool) Mend {
	if owner != Lacks {
		return Mend{} // what it refuses to say it will say of the manifest
	}
	lost := false
	for _, h := range others {
		if h.Presence == Has {
			return Mend{From: h.Replica}
		}
		lost = lost || h.Presence == Unknown
	}
	if optional {
		return Mend{}
	}
	return Mend{Lost: lost, Hole: !lost}
}
