package audit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fairlead-gateway/fairlead/transfer"
)

var errPartialLogin = errors.New("its login may not see all of it, so that nothing that it refuses counts as missing")

// catalog is all that a replica lists.
type catalog struct {
	repositories []string // sorted
	judged       bool     // trusted is set
	trusted      bool
}

func (r *run) setCatalog(replica string, repositories []string) {
	slices.Sort(repositories)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listed[replica] = &catalog{repositories: repositories}
}

// hidesMissing reports whether a replica refuses a repository because it does not have it: some registries answer 401
// or 403 then. The catalog tells.
func (r *run) hidesMissing(replica, repository string, err error) bool {
	if !transfer.Refused(err) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.listed[replica]
	return c != nil && !c.has(repository) && r.trusts(replica, c)
}

func (c *catalog) has(repository string) bool {
	_, there := slices.BinarySearch(c.repositories, repository)
	return there
}

// trusts is called with mu. It does not trust a catalog that lacks more repositories, of those that the replica has
// confirmed, than it names: that is what a login sees that has expired, or that may see only some.
func (r *run) trusts(replica string, c *catalog) bool {
	if c.judged {
		return c.trusted
	}
	lacks, err := r.countUnlisted(replica, c)
	if err == nil && lacks > len(c.repositories) {
		const form = "it lists %d repositories; at least %d that it is said to have are not among them: %w"
		err = fmt.Errorf(form, len(c.repositories), lacks, errPartialLogin)
	}
	if err != nil {
		r.report.problem(replica, "", err)
	}
	c.judged, c.trusted = true, err == nil
	return c.trusted
}

// countUnlisted counts the repositories that the replica has confirmed and does not list, until they are more than
// those that it lists.
func (r *run) countUnlisted(replica string, c *catalog) (n int, err error) {
	for after := ""; ; {
		page, err := r.Ledger.Repositories(after, 1000)
		if err != nil || len(page) == 0 {
			return n, err
		}
		for _, repository := range page {
			if c.has(repository) {
				continue
			}
			has, err := r.saidToHave(replica, repository)
			if has {
				n++
			}
			if err != nil || n > len(c.repositories) {
				return n, err
			}
		}
		after = page[len(page)-1]
	}
}

func (a *Audit) saidToHave(replica, repository string) (bool, error) {
	known, err := a.ledgerEntries(repository)
	for _, e := range known {
		if !e.Deleted && slices.Contains(e.Confirmed, replica) {
			return true, err
		}
	}
	return false, err
}
