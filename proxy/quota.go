package proxy

import (
	"net/netip"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// perClient is the part of all leases, one in so many, that one client may have made through one gateway, so that none
// can push everybody else's out.
const perClient = 4

// quotas counts leases by the client whose write made them. The lock of the table of leases guards it.
type quotas struct {
	most int
	of   map[netip.Prefix]*simplelru.LRU[string, struct{}] // repositories, by who made their lease
	by   map[string]netip.Prefix                           // who made it, by repository
}

func newQuotas(most int) *quotas {
	return &quotas{most, map[netip.Prefix]*simplelru.LRU[string, struct{}]{}, map[string]netip.Prefix{}}
}

// clientPrefix is what a client can call from: a host has a whole /64 (RFC 4291, section 2.5.4).
func clientPrefix(client netip.Addr) netip.Prefix {
	bits := client.BitLen()
	if client.Is6() {
		bits = 64
	}
	p, _ := client.Prefix(bits) // the zero Prefix for a client that has no address
	return p
}

// oldest is the repository whose lease has to go before the client may have another; "" if it may.
func (q *quotas) oldest(client netip.Addr) string {
	own := q.of[clientPrefix(client)]
	if own == nil || own.Len() < q.most {
		return ""
	}
	name, _, _ := own.GetOldest()
	return name
}

func (q *quotas) charge(client netip.Addr, repository string) {
	q.release(repository)
	who := clientPrefix(client)
	own := q.of[who]
	if own == nil {
		own = newLRU[string, struct{}](q.most)
		q.of[who] = own
	}
	own.Add(repository, struct{}{})
	q.by[repository] = who
}

func (q *quotas) release(repository string) {
	who, ok := q.by[repository]
	if !ok {
		return
	}
	delete(q.by, repository)
	own := q.of[who]
	if own.Remove(repository); own.Len() == 0 {
		delete(q.of, who)
	}
}
