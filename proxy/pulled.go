package proxy

import "github.com/fairlead-gateway/fairlead/router"

// countPulled counts the bytes that the client gets of a repository's content: what left the replica for it. What a
// replica said and the client does not hear is not among them, nor is what object storage sends after a redirect. nil:
// this answer is none of that.
func (x *exchange) countPulled() func(bytes int) {
	if !x.reads() || x.target.repository == "" {
		return nil
	}
	var from *router.Replica
	nearest := false
	return func(n int) {
		if asked := x.progress.asked.Load(); asked != from { // another one goes on with it
			from = asked
			order := x.decided.request.Client
			nearest = len(order) > 0 && order[0].Name == from.Name
		}
		x.proxy.Traffic.Pulled(from.Name, nearest, n)
	}
}
