package proxy

import (
	"net/http"

	"github.com/fairlead-gateway/fairlead/router"
)

// choice is what the answers of several replicas to one read come to.
type choice struct {
	best   answer // of those that are no denials
	denial answer // the first one
	absent []*router.Replica
}

// add takes in one answer more. One that is final is the best.
func (c *choice) add(got answer, final bool) {
	if got.absent() {
		c.absent = append(c.absent, got.replica)
	}
	switch {
	case got.denied && !final && c.denial.replica == nil:
		c.denial = got
	case got.denied && !final:
		got.drop()
	default:
		c.best = c.best.or(got, final)
	}
	if final {
		c.denial.drop()
	}
}

// choose is the client's answer where none was final. A denial may mean that the repository is not there, or that the
// client may not: the latter, unless another replica let the same client look.
func (c *choice) choose() answer {
	best := c.best
	if c.denial.replica != nil && len(c.absent) == 0 && (best.response == nil || best.response.StatusCode >= http.StatusBadRequest) {
		best.drop()
		return c.denial
	}
	c.denial.drop()
	return best
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
		return x.in.Header.Get("Authorization") != "" || x.proxy.resolutions.follow(x.reader()) != "" || x.letsAnybodyIn(got.replica.Name)
	}
	return false
}

// reader is what is remembered by that a client was answered about a repository elsewhere than at the nearest replica.
func (x *exchange) reader() Reference {
	return Reference{Repository: x.target.repository, Name: "client " + x.client.String()}
}
