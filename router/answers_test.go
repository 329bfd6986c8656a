package router

import (
	"slices"
	"testing"
)

func TestChoose(t *testing.T) {
	pull, ping := Decision{Reason: Nearest, OnAbsent: true, OnThrottled: true}, Decision{Reason: Nearest}
	push, leased := Decision{Reason: Leased}, Decision{Reason: Leased, OnAbsent: true, OnThrottled: true}
	unknown := leased
	unknown.OwnerKnows = true
	resort := Decision{Reason: LastResort, OnAbsent: true}
	says := func(try, status int) Heard { return Heard{Try: try, Status: status} }
	right := func(h Heard) Heard { h.Right = true; return h }
	lesser := func(h Heard) Heard { h.Lesser = true; return h }
	denied := func(h Heard) Heard { h.Denied = true; return h }
	holds := func(h Heard) Heard { h.Holds = true; return h }
	early := func(h Heard) Heard { h.Early = true; return h }
	for _, test := range []struct {
		name   string
		of     Decision
		heard  []Heard
		index  int
		reason Reason
		final  bool
		enough bool
		open   []int
	}{
		{"nothing", pull, nil, -1, "", false, false, nil},
		{"a success", pull, []Heard{says(0, 200)}, 0, Nearest, true, false, []int{0}},
		{"a redirect", pull, []Heard{says(0, 307)}, 0, Nearest, true, false, []int{0}},
		{"throttled", pull, []Heard{says(0, 429)}, 0, Nearest, false, false, []int{0}},
		{"throttled, then a success", pull, []Heard{says(0, 429), says(1, 200)}, 1, Throttled, true, false, []int{1}},
		{"throttled, then absent", pull, []Heard{says(0, 429), says(1, 404)}, 0, Nearest, false, false, []int{0}},
		{"absent, then throttled", pull, []Heard{says(0, 404), says(1, 429)}, 1, Fallthrough, false, false, []int{1}},
		{"throttled, absent, then a success", pull, []Heard{says(0, 429), says(1, 404), says(2, 200)}, 2, Fallthrough,
			true, false, []int{2}},
		{"throttled, then absent at who is right", pull, []Heard{says(0, 429), right(says(1, 404))}, 0, Nearest, false,
			false, []int{0}},
		{"throttled, then trouble", pull, []Heard{says(0, 429), says(1, 0)}, 0, Nearest, false, false, []int{0}},
		{"trouble, then throttled", pull, []Heard{says(0, 0), says(1, 429)}, 1, Failover, false, false, []int{1}},
		{"a failure, then throttled", pull, []Heard{says(0, 500), says(1, 429)}, 1, Failover, false, false, []int{1}},
		{"throttled, then a failure, and a success", pull, []Heard{says(0, 429), says(1, 503), says(2, 200)}, 2,
			Throttled, true, false, []int{2}},
		{"an older tag, then throttled", pull, []Heard{{Older: true}, says(1, 429)}, 1, Failover, false, false,
			[]int{1}},
		{"throttled, then an older tag", pull, []Heard{says(0, 429), {Try: 1, Older: true}}, 0, Nearest, false, false,
			[]int{0}},
		{"throttled everywhere", pull, []Heard{says(0, 429), says(1, 429)}, 0, Nearest, false, false, []int{0}},
		{"throttled, then a refusal", pull, []Heard{says(0, 429), says(1, 400)}, 1, Throttled, true, false, []int{1}},
		{"throttled, then a denial that may mean absence", pull, []Heard{says(0, 429), denied(says(1, 401))}, 1,
			Throttled, false, false, []int{0, 1}},
		{"throttled, then a lesser success", pull, []Heard{says(0, 429), lesser(says(1, 200))}, 1, Throttled, false,
			false, []int{1}},
		{"throttled, as a write", push, []Heard{says(0, 429)}, 0, Leased, true, false, []int{0}},
		{"the owner is throttled, and others may know", leased, []Heard{right(says(0, 429))}, 0, Leased, false, false,
			[]int{0}},
		{"the owner is throttled, and it alone knows", unknown, []Heard{right(says(0, 429))}, 0, Leased, true, false,
			[]int{0}},
		{"the owner does not have it, and the next is throttled", unknown,
			[]Heard{right(says(0, 404)), says(1, 429), says(2, 200)}, 2, Fallthrough, true, false, []int{2}},
		{"absent", pull, []Heard{says(0, 404)}, 0, Nearest, false, false, []int{0}},
		{"absent, where that is the answer", ping, []Heard{says(0, 404)}, 0, Nearest, true, false, []int{0}},
		{"the same, while one is awaited", ping, []Heard{early(says(1, 404))}, 0, Failover, false, true, []int{0}},
		{"the same, and that one has it", ping, []Heard{early(says(1, 404)), says(0, 200)}, 1, Nearest, true, false,
			[]int{1}},
		{"the same, and that one is in trouble", ping, []Heard{early(says(1, 404)), says(0, 0)}, 0, Failover, false,
			true, []int{0}},
		{"absent, then a success", pull, []Heard{says(0, 404), says(1, 200)}, 1, Fallthrough, true, false, []int{1}},
		{"trouble, then a success", pull, []Heard{says(0, 0), says(1, 200)}, 1, Failover, true, false, []int{1}},
		{"a failure, then a success", pull, []Heard{says(0, 500), says(1, 200)}, 1, Failover, true, false, []int{1}},
		{"a success of the last resort", resort, []Heard{says(0, 0), says(1, 200)}, 1, LastResort, true, false,
			[]int{1}},
		{"trouble, then absent", pull, []Heard{says(0, 0), says(1, 404)}, 0, Nearest, false, false, []int{0}},
		{"absent, then trouble", pull, []Heard{says(0, 404), says(1, 0)}, 1, Fallthrough, false, false, []int{1}},
		{"trouble, then a failure", pull, []Heard{says(0, 0), says(1, 500)}, 1, Failover, false, false, []int{1}},
		{"two failures", pull, []Heard{says(0, 503), says(1, 500)}, 0, Nearest, false, false, []int{0}},
		{"two failures, the first asked was late", pull, []Heard{says(1, 503), says(0, 500)}, 1, Nearest, false, false,
			[]int{1}},
		{"absent everywhere", pull, []Heard{says(0, 404), says(1, 404)}, 0, Nearest, false, false, []int{0}},
		{"absent everywhere, and at the owner", pull, []Heard{says(0, 404), right(says(1, 404))}, 1, Fallthrough,
			false, false, []int{1}},
		{"older, then absent", pull, []Heard{{Older: true}, says(1, 404)}, 0, Nearest, false, false, []int{0}},
		{"older, then absent at who is right", pull, []Heard{{Older: true}, right(says(1, 404))}, 1, Failover, false,
			false, []int{1}},
		{"older, then trouble", pull, []Heard{{Older: true}, says(1, 0)}, 1, Failover, false, false, []int{1}},
		{"refused by the gateway", pull, []Heard{{Refused: true}}, 0, Nearest, true, false, []int{0}},
		{"a lesser success", pull, []Heard{lesser(says(0, 200))}, 0, Nearest, false, false, []int{0}},
		{"a lesser success, then a full one", pull, []Heard{lesser(says(0, 200)), says(1, 206)}, 1, Fallthrough, true,
			false, []int{1}},
		{"a lesser success, then a refusal", pull, []Heard{lesser(says(0, 200)), says(1, 429)}, 0, Nearest, false,
			false, []int{0}},
		{"two lesser successes", pull, []Heard{lesser(says(0, 200)), lesser(says(1, 200))}, 0, Nearest, false, false,
			[]int{0}},
		{"a denial", pull, []Heard{denied(says(0, 401))}, 0, Nearest, false, false, []int{0}},
		{"a denial, where nobody else is asked", ping, []Heard{denied(says(0, 401))}, 0, Nearest, true, false,
			[]int{0}},
		{"a denial that is the answer", pull, []Heard{says(0, 401)}, 0, Nearest, true, false, []int{0}},
		{"a denial, then a success", pull, []Heard{denied(says(0, 403)), says(1, 200)}, 1, Fallthrough, true, false,
			[]int{1}},
		{"a denial, then absent", pull, []Heard{denied(says(0, 401)), says(1, 404)}, 1, Fallthrough, false, false,
			[]int{1, 0}},
		{"absent, then a denial", pull, []Heard{says(0, 404), denied(says(1, 401))}, 0, Nearest, false, false,
			[]int{0, 1}},
		{"a denial of one that has it, then absent", pull, []Heard{holds(denied(says(0, 401))), says(1, 404)}, 0,
			Nearest, false, false, []int{1, 0}},
		{"denials, the second of one that has it", pull, []Heard{denied(says(0, 403)), holds(denied(says(1, 401)))}, 1,
			Fallthrough, false, false, []int{0, 1}},
		{"a denial, then trouble", pull, []Heard{denied(says(0, 401)), says(1, 0)}, 0, Nearest, false, false,
			[]int{1, 0}},
		{"a denial, then a lesser success", pull, []Heard{denied(says(0, 401)), lesser(says(1, 200))}, 1, Fallthrough,
			false, false, []int{1, 0}},
		{"a denial, absent, then trouble", pull, []Heard{denied(says(0, 401)), says(1, 404), says(2, 0)}, 2,
			Fallthrough, false, false, []int{2, 0}},
	} {
		c := test.of.Choose(test.heard)
		if c.Index != test.index || c.Reason != test.reason || c.Final != test.final || c.Enough != test.enough ||
			!slices.Equal(c.Candidates, test.open) {
			t.Errorf("%s: %+v", test.name, c)
		}
	}
}

func TestChooseDeletion(t *testing.T) {
	for _, test := range []struct {
		name  string
		heard []Heard
		want  int
	}{
		{"deleted", []Heard{{Status: 202}, {Status: 202}}, 0},
		{"deleted by another", []Heard{{Status: 404}, {Status: 404}, {Status: 202}}, 2},
		{"refused by another", []Heard{{Status: 404}, {Status: 405}}, 1},
		{"in trouble", []Heard{{Status: 404}, {}}, 1},
		{"not asked", []Heard{{Status: 404}, {Unasked: true}}, 0},
		{"nobody has it", []Heard{{Status: 404}, {Status: 404}}, 0},
	} {
		for i := range test.heard {
			test.heard[i].Try = i
		}
		if got := ChooseDeletion(test.heard); got != test.want {
			t.Errorf("%s: %d", test.name, got)
		}
	}
}

func TestTagWord(t *testing.T) {
	for _, test := range []struct {
		name string
		of   TagAnswer
		want TagWord
	}{
		{"nothing is known", TagAnswer{Digest: "a"}, TagCounts},
		{"as it is known", TagAnswer{Digest: "a", Known: "a"}, TagCounts},
		{"another one", TagAnswer{Digest: "b", Known: "a"}, TagOlder},
		{"another one, of who is right", TagAnswer{Digest: "b", Known: "a", Right: true}, TagCounts},
		{"deleted", TagAnswer{Digest: "a", Deleted: true}, TagAbsent},
		{"deleted, and pushed again to who is right", TagAnswer{Digest: "a", Deleted: true, Right: true}, TagCounts},
		{"its digest was deleted", TagAnswer{Digest: "b", Known: "a", DigestDeleted: true}, TagAbsent},
		{"the same at who is right about the tag", TagAnswer{Digest: "b", DigestDeleted: true, Right: true}, TagAbsent},
		{"it says no digest", TagAnswer{Known: "a", Deleted: true, DigestDeleted: true}, TagCounts},
	} {
		if got := test.of.Word(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
