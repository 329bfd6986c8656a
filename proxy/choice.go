package proxy

import (
	"net/http"
	"slices"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
)

// choice is what the answers of several replicas to one read come to.
type choice struct {
	best    answer // of those that are no denials
	denials []answer
	absent  []*router.Replica
}

// add takes in one answer more. One that is final is the best.
func (c *choice) add(got answer, final bool) {
	if got.absent() {
		c.absent = append(c.absent, got.replica)
	}
	if got.denied && !final {
		c.denials = append(c.denials, got)
		return
	}
	c.best = c.best.or(got, final)
	if final {
		c.dropDenials(nil)
	}
}

// choose is the client's answer where none was final. A denial may mean that the repository is not there, or that the
// client may not: the latter if it comes from one that has it, or if no replica let the client look.
func (c *choice) choose(holds func(*router.Replica) bool) answer {
	denial := c.denial(holds)
	if denial == nil || c.best.response != nil && c.best.response.StatusCode < http.StatusBadRequest {
		c.dropDenials(nil)
		return c.best
	}
	c.dropDenials(denial)
	c.best.drop()
	return *denial
}

// denial is the one that counts; nil if none does.
func (c *choice) denial(holds func(*router.Replica) bool) *answer {
	if i := slices.IndexFunc(c.denials, func(a answer) bool { return holds(a.replica) }); i >= 0 {
		return &c.denials[i]
	}
	if len(c.denials) == 0 || len(c.absent) > 0 {
		return nil
	}
	return &c.denials[0]
}

func (c *choice) deniedBy() (replicas []*router.Replica) {
	for _, a := range c.denials {
		replicas = append(replicas, a.replica)
	}
	return replicas
}

func (c *choice) dropDenials(but *answer) {
	for i := range c.denials {
		if a := &c.denials[i]; a != but {
			a.drop()
		}
	}
}

func (a answer) drop() {
	if a.response != nil {
		a.response.Body.Close()
	}
}

// mayBeAbsent reports whether a replica's 401 or 403 may mean that it does not have the repository: Artifactory, GitLab,
// Harbor and ECR say so of what is not there. A client that has shown no login gets the challenge first, if it is one: not
// where the registry lets anybody in, nor where another replica has just answered it about this repository.
func (x *exchange) mayBeAbsent(got *answer) bool {
	if !x.reads() || x.request.Named != "" || x.target.repository == "" {
		return false
	}
	switch got.response.StatusCode {
	case http.StatusForbidden:
		return true
	case http.StatusUnauthorized:
		return x.in.Header.Get("Authorization") != "" || x.proxy.resolutions.follow(x.reader()) != "" || x.proxy.letsAnybodyIn(got.replica.Name)
	}
	return false
}

// holds reports whether the record knows that a replica has what is asked for, or one that shares with it.
func (x *exchange) holds(r *router.Replica) bool {
	return slices.ContainsFunc(x.request.Holders, func(name string) bool { return r.Shares(x.fleet.Replica(name)) })
}

// reader is what is remembered by that a client was answered about a repository elsewhere than at the nearest replica.
func (x *exchange) reader() ledger.Reference {
	return ledger.Reference{Repository: x.target.repository, Name: "client " + x.client.String()}
}
