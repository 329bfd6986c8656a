package cluster

// SetReports makes replicas, by name, this member's report, and tells all if that changes it. At most 256 replicas with
// 16 fronts each; names are at most 64 bytes of printable ASCII.
func (c *Cluster) SetReports(replicas map[string]Report) {
	r, changed := c.reports.set(c.cfg.Name, c.boot, replicas)
	if !changed {
		return
	}
	for _, to := range c.members.others() {
		c.sendReport(to, r)
	}
}

func (c *Cluster) sendReport(to member, r memberReport) {
	if r.Version == 0 {
		return // we have none yet
	}
	m := c.message(typeReport)
	m.Reports = []memberReport{r}
	c.send(to, typeReport, m.encode())
}

// FleetView is what each live member that has reported sees, this one included: by member, then by replica.
func (c *Cluster) FleetView() map[string]map[string]Report {
	out := map[string]map[string]Report{}
	for _, r := range c.reports.all() {
		if m, ok := c.members.get(r.Member); r.Member == c.cfg.Name || ok && m.meta.Boot == r.Boot {
			out[r.Member] = cloneReports(r.Replicas)
		}
	}
	return out
}
