package router

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"
)

// ReturnTakes is how long a replica that was passed over gets its clients back, one after the other. By default it
// takes 14 s at most to see that it is well: so the last client is back within a minute.
const ReturnTakes = 45 * time.Second

// One that is passed over again within quiet of getting its clients back has to be good for trial before the first of
// them comes back once more: so each client is moved twice a minute at most, whatever the rhythm.
const (
	quiet = 10 * time.Minute
	trial = time.Minute
)

// Prefixes of clients that move together: what resolvers send of an address at most (RFC 7871, section 11.1).
const (
	returnBits4 = 24
	returnBits6 = 56
)

// Returned is the fleet in which each replica knows since when it is back, if it was passed over in the fleet before,
// for being down or slow, while clients were sent to another one. before is nil for the first fleet: nobody was sent
// elsewhere by this gateway.
func (f *Fleet) Returned(before *Fleet, now time.Time) *Fleet {
	if before == nil {
		return f
	}
	others := func(name string) bool {
		return slices.ContainsFunc(before.replicas, func(r Replica) bool { return r.Name != name && r.serves() })
	}
	replicas := slices.Clone(f.replicas)
	for i := range replicas {
		r, was := &replicas[i], before.Replica(replicas[i].Name)
		switch {
		case was == nil:
			r.Back = time.Time{}
		case r.healthy() == was.healthy():
			r.Back = was.Back
		case was.healthy():
			r.Back = was.remembered(now)
		case others(r.Name):
			r.Back = was.comesBack(now)
		}
	}
	return NewFleet(replicas)
}

// remembered is what a replica that is passed over from now on keeps of Back: nothing, if that was long ago.
func (r *Replica) remembered(now time.Time) time.Time {
	if now.Sub(r.Back) < quiet {
		return r.Back
	}
	return time.Time{}
}

// comesBack is since when a replica is back that was passed over until now.
func (r *Replica) comesBack(now time.Time) time.Time {
	if r.Back.IsZero() {
		return now
	}
	return now.Add(trial)
}

// healthy reports whether all that clients need is up, and not slow.
func (r *Replica) healthy() bool { return r.FrontUp() && r.Upstream.Up && !r.slow() }

// serves reports whether clients are sent there.
func (r *Replica) serves() bool { return r.Operator == Online && r.healthy() }

// returning reports whether the replica is still getting its clients back.
func (r *Replica) returning(now time.Time) bool {
	return !r.Back.IsZero() && now.Sub(r.Back) < ReturnTakes
}

// turn is how long a client has to wait until it is sent to a replica that is back; 0: it is sent there.
func (r *Replica) turn(client netip.Prefix, now time.Time) time.Duration {
	if !r.returning(now) {
		return 0
	}
	return max(0, time.Duration(rankOf(client)*float64(ReturnTakes))-now.Sub(r.Back))
}

// pastReturning is the first of those that fit which the client is sent to, where the i-th is the first of all. A share
// of clients that grows from none to all is sent to a replica that is back, by the order of their prefixes' hashes: so
// each moves once. The others are sent to the next until their turn comes: to one that is not returning, or, if all are,
// has been back for longest. byPrefix: another client may be sent elsewhere.
func (o Order) pastReturning(i int, fits func(*Replica) bool, client netip.Prefix, now time.Time) (
	chosen int, turn time.Duration, byPrefix bool,
) {
	if !client.IsValid() {
		return i, 0, false
	}
	for steady := o.longestBack(fits, now); o[i] != steady; i++ {
		if !fits(o[i]) {
			continue
		}
		byPrefix = true
		wait := o[i].turn(client, now)
		if wait == 0 {
			break
		}
		turn = sooner(turn, wait)
	}
	return i, turn, byPrefix
}

// longestBack is, of those that fit, the first that is not returning, or the one that is back for longest.
func (o Order) longestBack(fits func(*Replica) bool, now time.Time) (longest *Replica) {
	for _, r := range o {
		switch {
		case !fits(r):
		case !r.returning(now):
			return r
		case longest == nil || r.Back.Before(longest.Back):
			longest = r
		}
	}
	return longest
}

// returnPrefix are the clients that move together with one.
func returnPrefix(client netip.Addr) netip.Prefix {
	client = client.Unmap()
	bits := returnBits6
	if client.Is4() {
		bits = returnBits4
	}
	p, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // of no address
	}
	return p
}

// rankOf is where a prefix stands among all, from 0 to 1: by a hash, the same at all gateways.
func rankOf(client netip.Prefix) float64 {
	addr := client.Addr().As16()
	x := binary.BigEndian.Uint64(addr[:8]) ^ binary.BigEndian.Uint64(addr[8:])*0x9e3779b97f4a7c15
	// SplitMix64's finalizer.
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / math.Exp2(53)
}
