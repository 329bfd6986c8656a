package router

// Kind is what a registry request means for routing (OCI distribution spec 1.1, end-1 to end-13).
type Kind string

const (
	Ping   Kind = "ping"   // /v2/, the catalog, token endpoints: belong to no region
	Pull   Kind = "pull"   // GET of a blob, GET or HEAD of a manifest by digest: content never changes
	Fresh  Kind = "fresh"  // manifests by tag, tag lists, referrers: what a push changes
	Exists Kind = "exists" // HEAD of a blob: how most clients start a push
	Write  Kind = "write"  // upload POST, manifest PUT, any DELETE
	Upload Kind = "upload" // a request to an upload in progress
	Other  Kind = "other"  // anything else below /v2/
)

// Request is what a decision needs to know of a request.
type Request struct {
	Kind      Kind
	Head      bool     // a HEAD
	Named     string   // the replica of the fleet that Host names; "" for the one hostname
	Adds      bool     // it begins an upload or puts a manifest, and no other gateway has decided where
	URLOwner  string   // the replica that the URL of an upload or of a next page names; may be gone
	Client    Order    // as the client sees the replicas: writes
	Gateway   Order    // as this gateway sees them: reads
	Lease     string   // owner of the repository's live lease
	Bound     string   // replica that this client and repository are bound to for a minute
	Follow    string   // the replica that lately resolved a tag to the digest that is asked about
	Holders   []string // replicas that the ledger knows to have what is asked for; some may be gone
	Barred    []string // replicas that have not confirmed a deletion of what is asked for: their word does not count
	Throttled []string // replicas that want to be asked less, by this client or by all
	Damaged   []string // replicas that gave out other bytes under the digest of the blob that is asked for
	OwnerHome bool     // the file's `lease: {owner: home}`
}

// Decision is where a request goes.
type Decision struct {
	Reason Reason
	// Tries are the replicas to ask, in order. The first is the one chosen; the others are for when
	// it cannot be reached and the request can safely be sent again. Empty for UploadLost, Deleted, Damaged and
	// NamedLeaving.
	Tries []*Replica
	// OnAbsent: a 404 of one try is not the answer, the next is asked.
	OnAbsent bool
	// OnThrottled: a 429 of one try is not the answer, the next is asked.
	OnThrottled bool
	// OwnerKnows: what is asked for may be new, and only the lease's owner is known to have it as it is now.
	OwnerKnows bool
	// Elsewhere are the replicas that may be asked whether something exists when the first says that it does not: what
	// they have is copied before a manifest needs it.
	Elsewhere []*Replica
	// LeaseEnds: the lease's owner is down, offline or gone, so the lease ends and moves as a whole.
	LeaseEnds bool
}
