package proxy

// countPulled counts the bytes that the client gets of a repository's content: what left the replica for it. What a
// replica said and the client does not hear is not among them, nor is what object storage sends after a redirect. nil:
// this answer is none of that.
func (x *exchange) countPulled() func(bytes int) {
	if !x.reads() || x.target.repository == "" {
		return nil
	}
	replica := x.progress.asked.Load().Name
	nearest := len(x.decided.request.Client) > 0 && x.decided.request.Client[0].Name == replica
	return func(n int) { x.proxy.Traffic.Pulled(replica, nearest, n) }
}
