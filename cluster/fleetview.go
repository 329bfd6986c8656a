package cluster

// SetView makes views, by replica, this member's opinion, and tells all if that changes it. At most 256 replicas with
// 16 fronts each; names are at most 64 bytes of printable ASCII.
func (c *Cluster) SetView(views map[string]View) {
	o, changed := c.opinions.set(c.cfg.Name, c.boot, views)
	if !changed {
		return
	}
	for _, to := range c.members.others() {
		c.sendView(to, o)
	}
}

func (c *Cluster) sendView(to member, o opinion) {
	if o.Version == 0 {
		return // we have none yet
	}
	m := c.message(typeView)
	m.Views = []opinion{o}
	c.send(to, typeView, m.encode())
}

// Views is what each live member that has an opinion sees, this one included: by member, then by replica.
func (c *Cluster) Views() map[string]map[string]View {
	out := map[string]map[string]View{}
	for _, o := range c.opinions.all() {
		if m, ok := c.members.get(o.Member); o.Member == c.cfg.Name || ok && m.meta.Boot == o.Boot {
			out[o.Member] = cloneViews(o.Views)
		}
	}
	return out
}
