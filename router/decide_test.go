package router

import (
	"strings"
	"testing"
)

func TestDecide(t *testing.T) {
	// west is nearest to the client, then east, then canada. Where gateway is empty, to the gateway too.
	rows := []struct {
		name    string
		fleet   string
		gateway string
		ask     Request
		want    string
	}{
		// The table of docs/request-handling.md.
		{"push starts, near up and writable",
			"west east canada", "", Request{Kind: Write}, "nearest: west, east, canada"},
		{"push starts, near down",
			"west:down east canada", "", Request{Kind: Write}, "failover: east, canada"},
		{"push starts, near draining",
			"west:drain east canada", "", Request{Kind: Write}, "failover: east, canada"},
		{"push starts, near read-only",
			"west:ro east canada", "", Request{Kind: Write}, "failover: east, canada"},
		{"belongs to writing, owner up",
			"west east canada", "", Request{Kind: Write, Lease: "east"}, "leased: east"},
		{"belongs to writing, owner draining",
			"west east:drain canada", "", Request{Kind: Write, Lease: "east"}, "leased: east"},
		{"upload part, owner up",
			"west east canada", "", Request{Kind: Upload, URLOwner: "canada", Lease: "east", Bound: "west"},
			"owner: canada"},
		{"upload part, owner draining",
			"west east canada:drain", "", Request{Kind: Upload, URLOwner: "canada", Lease: "east"}, "owner: canada"},
		{"upload part, owner down",
			"west east canada:down", "", Request{Kind: Upload, URLOwner: "canada"}, "upload_lost: "},
		{"belongs to writing, owner down: the lease ends and moves",
			"west east:down canada", "", Request{Kind: Write, Lease: "east"}, "failover: west, canada; lease ends"},
		{"pull, near up",
			"west east canada", "", Request{Kind: Pull}, "nearest: west, east, canada; 404 asks on"},
		{"any, none up: push",
			"west:down east:down", "", Request{Kind: Write}, "last_resort: west, east"},
		{"any, none up: pull",
			"west:down east:down", "", Request{Kind: Pull}, "last_resort: west, east; 404 asks on"},
		{"any, none up: upload part",
			"west:down east:down", "", Request{Kind: Upload, URLOwner: "east"}, "last_resort: east"},
		{"any, none up: belongs to writing",
			"west:down east:down", "", Request{Kind: Write, Lease: "east"}, "last_resort: east"},

		// Nearest to whom.
		{"a push starts near the client",
			"west east canada", "canada east west", Request{Kind: Write}, "nearest: west, east, canada"},
		{"a HEAD of a blob starts a push near the client",
			"west east canada", "canada east west", Request{Kind: Exists, Head: true},
			"nearest: west, east, canada; elsewhere: canada, east"},
		{"a pull is near the gateway",
			"west east canada", "canada east west", Request{Kind: Pull}, "nearest: canada, east, west; 404 asks on"},
		{"a tag is read near the gateway",
			"west east canada", "canada east west", Request{Kind: Fresh}, "nearest: canada, east, west; 404 asks on"},
		{"a ping is near the gateway, and its 404 is an answer",
			"west east canada", "canada east west", Request{Kind: Ping}, "nearest: canada, east, west"},
		{"other things are near the gateway, and their 404 is an answer",
			"west east canada", "canada east west", Request{Kind: Other}, "nearest: canada, east, west"},

		// Pulls.
		{"pull, near down",
			"west:down east canada", "", Request{Kind: Pull}, "failover: east, canada; 404 asks on"},
		{"pull, near draining: still asked, last",
			"west:drain east canada", "", Request{Kind: Pull}, "failover: east, canada, west; 404 asks on"},
		{"pull, near draining and the others down",
			"west:drain east:down", "", Request{Kind: Pull}, "nearest: west; 404 asks on"},
		{"pull, near read-only: reads do not mind",
			"west:ro east", "", Request{Kind: Pull}, "nearest: west, east; 404 asks on"},
		{"pull, near offline: not asked though up",
			"west:offline east canada:down", "", Request{Kind: Pull}, "failover: east; 404 asks on"},
		{"a front that is down is the business of DNS",
			"west:fronts=down east", "", Request{Kind: Pull}, "nearest: west, east; 404 asks on"},
		{"a lease does not draw pulls",
			"west east", "", Request{Kind: Pull, Lease: "east"}, "nearest: west, east; 404 asks on"},
		{"a HEAD by digest, client not bound",
			"west east", "", Request{Kind: Pull, Head: true, Lease: "east"}, "nearest: west, east; 404 asks on"},
		{"a binding does not draw a GET by digest",
			"west east", "", Request{Kind: Pull, Bound: "east"}, "nearest: west, east; 404 asks on"},
		{"a HEAD by digest, client bound: it pushes",
			"west east", "", Request{Kind: Pull, Head: true, Bound: "east"}, "bound: east, west"},
		{"a HEAD by digest, client bound, repository leased",
			"west east", "", Request{Kind: Pull, Head: true, Bound: "west", Lease: "east"}, "leased: east"},
		{"a pull whose URL names a replica: nothing of ours does",
			"west east", "", Request{Kind: Pull, URLOwner: "east"}, "nearest: west, east; 404 asks on"},

		// What must be fresh.
		{"a tag while leased: the owner first, for everyone",
			"west east canada", "", Request{Kind: Fresh, Lease: "canada"}, "leased: canada, west, east; 404 asks on"},
		{"a tag while leased: the others stay in their order",
			"west east canada", "", Request{Kind: Fresh, Lease: "east"}, "leased: east, west, canada; 404 asks on"},
		{"a tag while leased to a draining owner",
			"west east canada:drain", "", Request{Kind: Fresh, Lease: "canada"},
			"leased: canada, west, east; 404 asks on"},
		{"a tag while leased, others not up are not asked",
			"west:down east:offline canada", "", Request{Kind: Fresh, Lease: "canada"}, "leased: canada; 404 asks on"},
		{"a tag while leased, owner down: read elsewhere, and no read ends a lease",
			"west east:down canada", "", Request{Kind: Fresh, Lease: "east"}, "nearest: west, canada; 404 asks on"},
		{"a tag while leased, owner offline",
			"west east:offline canada", "", Request{Kind: Fresh, Lease: "east"}, "nearest: west, canada; 404 asks on"},
		{"a tag while leased to a replica that is gone",
			"west east", "", Request{Kind: Fresh, Lease: "gone"}, "nearest: west, east; 404 asks on"},
		{"a binding does not draw tags",
			"west east", "", Request{Kind: Fresh, Bound: "east"}, "nearest: west, east; 404 asks on"},

		// Where a tag was resolved.
		{"a digest is asked for where its tag was resolved",
			"west east canada", "", Request{Kind: Pull, Follow: "canada"}, "followed: canada, west, east; 404 asks on"},
		{"it was resolved at the nearest",
			"west east canada", "", Request{Kind: Pull, Follow: "west"}, "nearest: west, east, canada; 404 asks on"},
		{"where it was resolved is down",
			"west east canada:down", "", Request{Kind: Pull, Follow: "canada"}, "nearest: west, east; 404 asks on"},
		{"a signature's tag",
			"west east canada", "", Request{Kind: Fresh, Follow: "canada"},
			"followed: canada, west, east; 404 asks on"},
		{"a lease comes before",
			"west east canada", "", Request{Kind: Fresh, Follow: "canada", Lease: "east"},
			"leased: east, canada, west; 404 asks on"},

		// What the ledger knows.
		{"the nearest of those that have it is asked first",
			"west east canada", "", Request{Kind: Pull, Holders: []string{"canada", "east", "gone"}},
			"followed: east, west, canada; 404 asks on"},
		{"the nearest has it",
			"west east canada", "", Request{Kind: Fresh, Holders: []string{"canada", "west"}},
			"nearest: west, east, canada; 404 asks on"},
		{"the ledger counts for more than where a tag was resolved",
			"west east canada", "", Request{Kind: Pull, Follow: "canada", Holders: []string{"east"}},
			"followed: east, west, canada; 404 asks on"},
		{"the only one that has it is down: asked last",
			"west east canada:down", "", Request{Kind: Fresh, Holders: []string{"canada"}},
			"nearest: west, east, canada; 404 asks on"},
		{"one that has it is down, the next is up",
			"west:down east canada", "", Request{Kind: Pull, Holders: []string{"west", "canada"}},
			"followed: canada, east, west; 404 asks on"},
		{"the operator took out the only one that has it",
			"west east canada:offline", "", Request{Kind: Pull, Holders: []string{"canada"}},
			"nearest: west, east; 404 asks on"},
		{"a lease's owner is asked first, whoever has it",
			"west east canada:down", "", Request{Kind: Fresh, Lease: "east", Holders: []string{"canada"}},
			"leased: east, west, canada; 404 asks on"},
		{"none up: all are asked in their order",
			"west:down east:down", "", Request{Kind: Pull, Holders: []string{"east"}},
			"last_resort: west, east; 404 asks on"},

		// What was deleted.
		{"the nearest has not confirmed",
			"west east canada", "", Request{Kind: Pull, Barred: []string{"west"}},
			"fallthrough: east, canada; 404 asks on"},
		{"a farther one has not",
			"west east canada", "", Request{Kind: Pull, Barred: []string{"canada"}},
			"nearest: west, east; 404 asks on"},
		{"nobody has",
			"west east", "", Request{Kind: Fresh, Barred: []string{"west", "east"}}, "deleted: "},
		{"a client that pushes is told that it does not exist",
			"west east", "", Request{Kind: Exists, Head: true, Lease: "east", Barred: []string{"east"}}, "deleted: "},

		// What was found damaged.
		{"the nearest has it damaged",
			"west east canada", "", Request{Kind: Pull, Damaged: []string{"west"}}, "failover: east, canada; 404 asks on"},
		{"a farther one has it damaged",
			"west east canada", "", Request{Kind: Pull, Damaged: []string{"canada", "gone"}},
			"nearest: west, east; 404 asks on"},
		{"who is known to have it has it damaged",
			"west east canada", "", Request{Kind: Pull, Holders: []string{"canada", "east"}, Damaged: []string{"east"}},
			"followed: canada, west; 404 asks on"},
		{"where its tag was resolved it is damaged",
			"west east canada", "", Request{Kind: Pull, Follow: "east", Damaged: []string{"east"}},
			"nearest: west, canada; 404 asks on"},
		{"the others are down: the probes may be wrong, its digest is not",
			"west east:down", "", Request{Kind: Pull, Damaged: []string{"west"}}, "last_resort: east; 404 asks on"},
		{"all have it damaged",
			"west east", "", Request{Kind: Pull, Damaged: []string{"east", "west"}}, "damaged: "},
		{"who names a replica gets what it has",
			"west east", "", Request{Kind: Pull, Named: "west", Damaged: []string{"west"}}, "named: west"},
		{"a client that pushes is not told that it exists where it is damaged",
			"west east canada", "", Request{Kind: Exists, Head: true, Damaged: []string{"east"}},
			"nearest: west, east, canada; elsewhere: canada"},
		{"the push itself stays where it is",
			"west east", "", Request{Kind: Exists, Head: true, Lease: "east", Damaged: []string{"east"}},
			"leased: east; elsewhere: west"},

		// Writes that were answered with 405.
		{"a push starts elsewhere",
			"west:405 east canada", "", Request{Kind: Write}, "failover: east, canada"},
		{"an owner that became read-only has lost the lease",
			"west east:405 canada", "", Request{Kind: Write, Lease: "east"}, "failover: west, canada; lease ends"},
		{"all are read-only",
			"west:405 east:405", "", Request{Kind: Write, Lease: "east"}, "last_resort: east"},

		// Shared storage.
		{"a lost owner's storage has another door",
			"west east canada:down,storage=s europe:storage=s", "", Request{Kind: Write, Lease: "canada"},
			"failover: europe, west, east; lease ends"},
		{"so has an upload",
			"west east canada:down,storage=s europe:storage=s", "", Request{Kind: Upload, URLOwner: "canada"},
			"failover: europe"},
		{"another storage has not",
			"west:storage=t canada:down,storage=s", "", Request{Kind: Upload, URLOwner: "canada"}, "upload_lost: "},

		// The next page of a list.
		{"next page: where the last one came from",
			"west east canada", "", Request{Kind: Fresh, URLOwner: "east", Lease: "canada"}, "owner: east"},
		{"next page of the catalog",
			"west east canada", "", Request{Kind: Ping, URLOwner: "east"}, "owner: east"},
		{"next page, its replica draining",
			"west east:drain", "", Request{Kind: Fresh, URLOwner: "east"}, "owner: east"},
		{"next page, its replica down",
			"west east:down canada", "", Request{Kind: Fresh, URLOwner: "east", Lease: "canada"},
			"leased: canada, west; 404 asks on"},
		{"next page, its replica gone",
			"west east", "", Request{Kind: Ping, URLOwner: "gone"}, "nearest: west, east"},

		// What belongs to writing.
		{"a HEAD of a blob while leased",
			"west east", "", Request{Kind: Exists, Head: true, Lease: "east"}, "leased: east; elsewhere: west"},
		{"a read-only owner finishes what is leased",
			"west east:ro", "", Request{Kind: Write, Lease: "east"}, "leased: east"},
		{"the lease beats the binding",
			"west east canada", "", Request{Kind: Write, Lease: "east", Bound: "canada"}, "leased: east"},
		{"the lease beats home",
			"west:home east", "", Request{Kind: Write, Lease: "east", OwnerHome: true}, "leased: east"},
		{"a write whose URL names a replica does not escape the lease",
			"west east", "", Request{Kind: Write, URLOwner: "west", Lease: "east"}, "leased: east"},
		{"a write whose URL names a replica does not choose its owner",
			"west east:ro", "", Request{Kind: Write, URLOwner: "east"}, "nearest: west"},
		{"an upload part that lost its owner's name: the lease knows",
			"west east", "", Request{Kind: Upload, Lease: "east"}, "leased: east"},
		{"an upload part that lost its owner's name, no lease",
			"west east", "", Request{Kind: Upload, Bound: "east"}, "bound: east"},
		{"the lease's owner offline",
			"west east:offline canada", "", Request{Kind: Write, Lease: "east"}, "failover: west, canada; lease ends"},
		{"the lease's owner gone from the file",
			"west east", "", Request{Kind: Write, Lease: "gone"}, "failover: west, east; lease ends"},
		{"the lease moves to where its client is bound",
			"west east:down canada", "", Request{Kind: Write, Lease: "east", Bound: "canada"},
			"failover: canada; lease ends"},
		{"the lease moves home",
			"west east:down canada:home", "", Request{Kind: Write, Lease: "east", OwnerHome: true},
			"failover: canada, west; lease ends"},
		{"a HEAD of a blob, the lease's owner down",
			"west east:down", "", Request{Kind: Exists, Head: true, Lease: "east"}, "failover: west; lease ends"},

		// Bindings.
		{"bound",
			"west east canada", "", Request{Kind: Write, Bound: "canada"}, "bound: canada"},
		{"bound, by a HEAD of a blob",
			"west east canada", "", Request{Kind: Exists, Head: true, Bound: "canada"},
			"bound: canada, west, east; elsewhere: west, east"},
		{"bound, and what only asks may be asked of no replica where a push may not begin",
			"west:down east canada:drain", "", Request{Kind: Exists, Head: true, Bound: "east"},
			"bound: east; elsewhere: canada"},
		{"bound, a write",
			"west east canada", "", Request{Kind: Write, Bound: "canada"}, "bound: canada"},
		{"bound beats home",
			"west:home east", "", Request{Kind: Write, Bound: "east", OwnerHome: true}, "bound: east"},
		{"bound to a replica that is down",
			"west east:down canada", "", Request{Kind: Write, Bound: "east"}, "nearest: west, canada"},
		{"bound to a replica that drains: nothing starts there",
			"west east:drain canada", "", Request{Kind: Write, Bound: "east"}, "nearest: west, canada"},
		{"bound to a replica that is offline",
			"west east:offline canada", "", Request{Kind: Write, Bound: "east"}, "nearest: west, canada"},
		{"bound to a read-only replica",
			"west east:ro canada", "", Request{Kind: Write, Bound: "east"}, "nearest: west, canada"},
		{"bound to a replica that is gone",
			"west east", "", Request{Kind: Write, Bound: "gone"}, "nearest: west, east"},

		// lease: {owner: home}
		{"owner home: the home replica first",
			"west east canada:home", "", Request{Kind: Write, OwnerHome: true}, "home: canada, west, east"},
		{"owner home: the others stay in their order",
			"west east:home canada", "", Request{Kind: Write, OwnerHome: true}, "home: east, west, canada"},
		{"owner home, and home is nearest",
			"west:home east", "", Request{Kind: Write, OwnerHome: true}, "home: west, east"},
		{"owner home, home down: the nearest",
			"west east canada:home,down", "", Request{Kind: Write, OwnerHome: true}, "failover: west, east"},
		{"owner home, home draining",
			"west east canada:home,drain", "", Request{Kind: Write, OwnerHome: true}, "failover: west, east"},
		{"owner home, home read-only",
			"west east canada:home,ro", "", Request{Kind: Write, OwnerHome: true}, "failover: west, east"},
		{"owner home, none up",
			"west:down east:home,down", "", Request{Kind: Write, OwnerHome: true}, "last_resort: east, west"},
		{"owner home, the file names none: the first by name",
			"west east canada", "", Request{Kind: Write, OwnerHome: true}, "home: canada, west, east"},
		{"owner home does not draw reads",
			"west east:home", "", Request{Kind: Fresh, OwnerHome: true}, "nearest: west, east; 404 asks on"},

		// A host name that names a replica.
		{"named: no other, not for a pull",
			"west east", "", Request{Kind: Pull, Named: "east"}, "named: east"},
		{"named: no lease",
			"west east canada", "", Request{Kind: Write, Named: "east", Lease: "west", Bound: "canada"}, "named: east"},
		{"named: it is what the client asked for, upload or not",
			"west east", "", Request{Kind: Upload, Named: "east", URLOwner: "west"}, "named: east"},
		{"named: tags too, while leased elsewhere",
			"west east", "", Request{Kind: Fresh, Named: "east", Lease: "west"}, "named: east"},
		{"named, down",
			"west east:down", "", Request{Kind: Pull, Named: "east"}, "named: east"},
		{"named, offline",
			"west east:offline", "", Request{Kind: Write, Named: "east"}, "named: east"},

		// Lost uploads.
		{"upload part, owner offline",
			"west east:offline", "", Request{Kind: Upload, URLOwner: "east"}, "upload_lost: "},
		{"upload part, owner gone",
			"west east", "", Request{Kind: Upload, URLOwner: "gone"}, "upload_lost: "},
		{"upload part, owner gone and none up",
			"west:down east:down", "", Request{Kind: Upload, URLOwner: "gone"}, "upload_lost: "},
		{"upload part, owner down: no lease has another's session",
			"west east:down", "", Request{Kind: Upload, URLOwner: "east", Lease: "west"}, "upload_lost: "},
		{"upload part, owner down and all others read-only",
			"west:ro east:down", "", Request{Kind: Upload, URLOwner: "east"}, "upload_lost: "},
		{"upload part, none up, owner offline: the operator's word still holds",
			"west:down east:offline", "", Request{Kind: Upload, URLOwner: "east"}, "upload_lost: "},

		// Fail open.
		{"none up, one of them offline: not that one",
			"west:offline east:down", "", Request{Kind: Write}, "last_resort: east"},
		{"none up, the one that is offline is up: not that one",
			"west:offline east:down", "", Request{Kind: Pull}, "last_resort: east; 404 asks on"},
		{"all offline: pull",
			"west:offline east:offline,down", "", Request{Kind: Pull}, "last_resort: west, east; 404 asks on"},
		{"all offline: push",
			"west:offline east:offline,down", "", Request{Kind: Write}, "last_resort: west, east"},
		{"all offline: belongs to writing",
			"west:offline east:offline", "", Request{Kind: Write, Lease: "east"}, "last_resort: east"},
		{"all offline: upload part",
			"west:offline east:offline", "", Request{Kind: Upload, URLOwner: "east"}, "last_resort: east"},
		{"none up: draining ones last",
			"west:drain,down east:down", "", Request{Kind: Pull}, "last_resort: east, west; 404 asks on"},
		{"none up: ping",
			"west:down east:down", "", Request{Kind: Ping}, "last_resort: west, east"},
		{"none up: a tag while leased",
			"west:down east:down", "", Request{Kind: Fresh, Lease: "east"}, "last_resort: west, east; 404 asks on"},
		{"none up: bound",
			"west:down east:down", "", Request{Kind: Write, Bound: "east"}, "last_resort: west, east"},
		{"none up, the lease's owner offline: it moves",
			"west:down east:offline", "", Request{Kind: Write, Lease: "east"}, "last_resort: west; lease ends"},
		{"none up, the lease's owner gone",
			"west:down east:down", "", Request{Kind: Write, Lease: "gone"}, "last_resort: west, east; lease ends"},
		{"nowhere to start: one that drains is better than one that is down",
			"west:down east:drain canada:drain", "", Request{Kind: Write}, "last_resort: east, canada"},
		{"nowhere to start: one that is down is better than one that says no",
			"west:ro east:down", "", Request{Kind: Write}, "last_resort: east"},
		{"nowhere to start, all read-only",
			"west:ro east:ro", "", Request{Kind: Write}, "last_resort: west, east"},
		{"nowhere to start, the writable one offline",
			"west:ro east:offline", "", Request{Kind: Write}, "last_resort: west"},
		{"nowhere to start, the lease's owner down: it stays where it can be written",
			"west:ro east:down", "", Request{Kind: Write, Lease: "east"}, "last_resort: east"},
		{"nowhere to start, the lease's owner down: it moves to one that drains",
			"west:down east:drain", "", Request{Kind: Write, Lease: "west"}, "last_resort: east; lease ends"},

		// A fleet of one.
		{"one replica: push", "west", "", Request{Kind: Write}, "nearest: west"},
		{"one replica, down: pull", "west:down", "", Request{Kind: Pull}, "last_resort: west; 404 asks on"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			fleet := fleetOf(t, row.fleet)
			row.ask.Client = orderOf(t, fleet, row.fleet)
			row.ask.Gateway = row.ask.Client
			if row.gateway != "" {
				row.ask.Gateway = orderOf(t, fleet, row.gateway)
			}
			if got := Decide(row.ask).String(); got != row.want {
				t.Errorf("fleet %q\n got %s\nwant %s", row.fleet, got, row.want)
			}
		})
	}
}

func TestUnheard(t *testing.T) {
	for _, row := range []struct{ fleet, holders, absentAt, want string }{
		{"west east", "", "west east", ""},
		{"west east", "east", "west east", ""},
		{"west east:down", "east", "west", "east"},
		{"west east canada:offline", "east canada", "west east", "canada"},
		{"west east", "gone", "west east", ""},
		{"west:storage=s east:storage=s,down", "east", "west", ""},
		{"west:down east:down", "east west", "", "west east"},
	} {
		fleet := fleetOf(t, row.fleet)
		var absent []*Replica
		for _, name := range strings.Fields(row.absentAt) {
			absent = append(absent, fleet.Replica(name))
		}
		request := Request{Gateway: orderOf(t, fleet, row.fleet), Holders: strings.Fields(row.holders)}
		if got := strings.Join(request.Unheard(absent), " "); got != row.want {
			t.Errorf("%+v: %q", row, got)
		}
	}
}
