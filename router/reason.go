package router

// Reason says why a replica was chosen. The set is closed: the same word is the metric label, the
// log field, the Fairlead-Replica response header and what `fairlead explain` prints.
type Reason string

const (
	// Nearest is the replica with the least expected round-trip time.
	Nearest Reason = "nearest"
	// Failover is the next in order, because a nearer one is down, slow, draining, offline or read-only, has the blob
	// damaged, or was down until now and gets its clients back one after the other.
	Failover Reason = "failover"
	// Throttled is the next in order, because a nearer one has told this client, or several, by 429 to come again later.
	Throttled Reason = "throttled"
	// Home is the home replica, because the file says `lease: {owner: home}`.
	Home Reason = "home"
	// Leased is the owner of the repository's lease.
	Leased Reason = "leased"
	// Bound is the replica that this client asked about this repository within the last minute.
	Bound Reason = "bound"
	// Owner is the replica that the URL names: an upload in progress, or the next page of a list.
	Owner Reason = "owner"
	// Named is the replica that the host name names: <replica>.<hostname>.
	Named Reason = "named"
	// NamedLeaving is a push to a replica by its own name, while that leaves the fleet: it would leave with it.
	NamedLeaving Reason = "leaving"
	// Fallthrough is the nearest replica that has what nearer ones answered 404 to.
	Fallthrough Reason = "fallthrough"
	// Followed is the replica that lately said which digest a tag has, asked about that digest and what belongs to it.
	Followed Reason = "followed"
	// Deleted is content that was deleted, asked of replicas none of which has confirmed that it is gone.
	Deleted Reason = "deleted"
	// Damaged is a blob that only replicas have which gave out other bytes under its digest.
	Damaged Reason = "damaged"
	// HolderDown is what the ledger knows, asked for while none of those that have it can be asked.
	HolderDown Reason = "holder_down"
	// LastResort is a replica tried although none is known to be fit for it: fail open.
	LastResort Reason = "last_resort"
	// Unreachable is a request that no replica has answered, while none was up.
	Unreachable Reason = "unreachable"
	// Stale is a tag of which only an older digest than the last one pushed can be had.
	Stale Reason = "stale"
	// Overloaded is a request beyond those that the gateway's memory allows.
	Overloaded Reason = "overloaded"
	// ClientLimit is a request beyond those that one client may have.
	ClientLimit Reason = "client_limit"
	// NoRoom is a manifest beyond those that the gateway's memory allows.
	NoRoom Reason = "no_room"
	// Shortage is a request for which the gateway had no descriptor, port or memory left.
	Shortage Reason = "shortage"
	// Unrecorded is a write that its replica has accepted, and that cannot be recorded.
	Unrecorded Reason = "unrecorded"
	// UploadLost is an upload whose replica is down or gone: no other replica can go on with it.
	UploadLost Reason = "upload_lost"
	// Healing is a manifest some of whose content is still being copied to where it goes.
	Healing Reason = "healing"
	// Scattered is a manifest some of whose content cannot be brought to where it goes: accepted there, it
	// would be an image with a blob missing.
	Scattered Reason = "scattered"
)
