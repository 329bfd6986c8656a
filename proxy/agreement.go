package proxy

import (
	"context"
	"time"
)

// Agreement is what gateways that know each other agree on. Its methods may be called by many
// goroutines at once; all but Accept answer from a local copy.
type Agreement interface {
	// Owner is the owner of a repository as far as this gateway has heard, "" if nobody is.
	Owner(repository string) string
	// Last is when the last write to it was that this gateway has heard of, a quarter of the time that leases live or less
	// ago; zero if nobody owns it.
	Last(repository string) time.Time
	// Accept tells that replica accepted a write, and returns the owner from then on, "" where that is
	// this gateway's own business. It may ask other gateways, within a bound.
	Accept(ctx context.Context, repository, replica string) (owner string)
	// Keep prolongs the lease that owner holds, if it does: a request that belongs to it is under way.
	Keep(repository, owner string)
	// Spread returns when all gateways know who owns the repository, within a bound.
	Spread(ctx context.Context, repository string)
	// RevokeLost tells that owner is lost and the repository's writes have moved. Others may know better.
	RevokeLost(repository, owner string)
	// RevokeReadOnly tells that owner takes no writes of the repository any more, as it has said itself.
	RevokeReadOnly(repository, owner string)
	// RevokeDrained tells that owner drains, and the repository's writes have moved.
	RevokeDrained(repository, owner string)
	// Held counts the leases that they agree on.
	Held() int
}

// alone is the agreement of a gateway that knows no other.
type alone struct{}

func (alone) Owner(string) string                           { return "" }
func (alone) Accept(context.Context, string, string) string { return "" }
func (alone) Keep(string, string)                           {}
func (alone) Spread(context.Context, string)                {}
func (alone) RevokeLost(string, string)                     {}
func (alone) RevokeReadOnly(string, string)                 {}
func (alone) RevokeDrained(string, string)                  {}
func (alone) Last(string) time.Time                         { return time.Time{} }
func (alone) Held() int                                     { return 0 }
