package router

// Presence is what a replica says about a blob or manifest that another manifest names.
type Presence int

// What a replica may say. A refusal says nothing.
const (
	Unknown Presence = iota
	Has
	Lacks
)

// Holder is a replica that may have something.
type Holder struct {
	Replica string
	Presence
}

// MayHave reports whether the replica has it, or does not say.
func (h Holder) MayHave() bool { return h.Presence != Lacks }

// Repair is what is to be done about one descriptor of a manifest before that may be committed. The zero value is
// nothing.
type Repair struct {
	From    string // copy it from this replica
	Missing bool   // nobody has it: committed, the manifest would be damaged
	Unsure  bool   // nobody who can be asked has it, and not everybody can be
}

// PlanRepair decides about one descriptor of a manifest that goes to owner. others are all other replicas, in the order
// in which they are to be copied from. optional: without it the manifest is as its author may have wanted it.
func PlanRepair(owner Presence, others []Holder, optional bool) Repair {
	if owner != Lacks {
		return Repair{} // what it refuses to say it will say of the manifest
	}
	unsure := false
	for _, h := range others {
		if h.Presence == Has {
			return Repair{From: h.Replica}
		}
		unsure = unsure || h.Presence == Unknown
	}
	if optional {
		return Repair{}
	}
	return Repair{Unsure: unsure, Missing: !unsure}
}
