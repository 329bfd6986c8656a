package gateway

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/proxy"
)

func TestLeasesAreWhatGatewaysAgreeOn(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	grant := func(repository, owner string, alone bool) cluster.Grant {
		return cluster.Grant{Repository: repository, Owner: owner, Stamp: hlc.Stamp{WallMS: 1000, Member: "gw2"},
			Alone: alone, Last: at(5)}
	}
	agreed := []cluster.Grant{grant("elsewhere", "east", true), grant("both", "east", false),
		grant("apart", "east", false)}
	own := []proxy.LeaseInfo{
		{Repository: "both", Owner: "east", Granted: at(2), Last: at(9), Open: 3},
		{Repository: "here", Owner: "west", Granted: at(2), Last: at(3), Open: 1},
		{Repository: "apart", Owner: "west", Granted: at(2), Last: at(3), Open: 2},
	}
	want := []admin.Lease{
		{Repository: "apart", Owner: "east", Granted: at(1), Last: at(5), Open: 2, GrantedBy: "gw2", Arbitrated: true},
		{Repository: "both", Owner: "east", Granted: at(1), Last: at(9), Open: 3, GrantedBy: "gw2", Arbitrated: true},
		{Repository: "elsewhere", Owner: "east", Granted: at(1), Last: at(5), GrantedBy: "gw2"},
		{Repository: "here", Owner: "west", Granted: at(2), Last: at(3), Open: 1},
	}
	if got := leasesOf(agreed, own); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := leasesOf(nil, nil); got == nil || len(got) != 0 {
		t.Errorf("%v is no empty list", got)
	}
}

func TestLeasesListedAreBounded(t *testing.T) {
	var agreed []cluster.Grant
	var own []proxy.LeaseInfo
	for i := range maxListed {
		agreed = append(agreed, cluster.Grant{Repository: fmt.Sprint("agreed-", i), Owner: "east"})
		own = append(own, proxy.LeaseInfo{Repository: fmt.Sprint("a-", i), Owner: "west"})
	}
	got := leasesOf(agreed, own)
	if len(got) != maxListed || slices.ContainsFunc(got, func(l admin.Lease) bool { return l.Owner != "east" }) {
		t.Errorf("%d listed, beginning with %+v", len(got), got[0])
	}
}
