package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseChallenges(t *testing.T) {
	tests := []struct {
		name, header string
		want         []challenge
	}{
		{"none", "", nil},
		{"basic", `Basic realm="Registry Realm"`, []challenge{{"basic", "Registry Realm", ""}}},
		{"bearer",
			`Bearer realm="https://auth.contoso.com/token",service="registry.contoso.com",scope="repository:app:pull,push"`,
			[]challenge{{"bearer", "https://auth.contoso.com/token", "registry.contoso.com"}}},
		{"two", `Basic realm="a", Bearer realm="b" , service=c`, []challenge{{"basic", "a", ""}, {"bearer", "b", "c"}}},
		{"spaces around equals", `Bearer REALM = "a"`, []challenge{{"bearer", "a", ""}}},
		{"escaped quote", `Basic realm="a\"b\\"`, []challenge{{"basic", `a"b\`, ""}}},
		{"unterminated", `Basic realm="a\`, []challenge{{"basic", `a\`, ""}}},
		{"no parameters", `Negotiate, Basic`, []challenge{{"negotiate", "", ""}, {"basic", "", ""}}},
		{"parameter before a scheme", `realm="a", Basic`, []challenge{{"basic", "", ""}}},
		{"rubbish", `"";=é Basic`, []challenge{{"basic", "", ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseChallenges(tt.header); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCompareChallenges(t *testing.T) {
	const bearer = `Bearer realm="https://auth/token",service="reg"`
	up := func(replica, challenge string) liveResult {
		return liveResult{Replica: replica, Target: targetUpstream, Status: 401, Challenge: challenge}
	}
	tests := []struct {
		name    string
		results []liveResult
		want    []string
	}{
		{"nobody", nil, nil},
		{"all the same", []liveResult{up("a", bearer), up("b", `bearer service=reg, realm="https://auth/token", scope="x"`)},
			nil},
		{"order of two schemes", []liveResult{up("a", `Basic realm="r", `+bearer), up("b", bearer+`, Basic realm="r"`)}, nil},
		{"anonymous", []liveResult{up("a", ""), up("b", bearer), up("c", bearer)},
			[]string{`clients sign in once, but a wants no credentials where b, c wants bearer realm="https://auth/token" service="reg"`}},
		{"scheme", []liveResult{up("a", "Basic realm=x"), up("b", bearer)},
			[]string{`clients sign in once, but b wants bearer realm="https://auth/token" service="reg" where a wants basic realm="x"`}},
		{"realm", []liveResult{up("a", "Basic realm=x"), up("b", "Basic realm=y")},
			[]string{`clients sign in once, but b wants basic realm="y" where a wants basic realm="x"`}},
		{"service, three ways", []liveResult{up("a", "Bearer service=x"), up("b", "Bearer service=y"),
			up("c", "Bearer service=x"), up("d", "Bearer service=z")},
			[]string{`clients sign in once, but b wants bearer service="y" where a, c wants bearer service="x"`,
				`clients sign in once, but d wants bearer service="z" where a, c wants bearer service="x"`}},
		{"who did not answer", []liveResult{up("a", bearer), {Replica: "b", Target: targetUpstream,
			Err: errors.New("refused")}}, nil},
		{"fronts", []liveResult{up("a", bearer), {Replica: "a", Target: targetFront, Status: 200}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := compareChallenges(tt.results); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Basic realm="a", Bearer realm="b" , service=c`)
	f.Add(`Basic realm="a\`)
	f.Add(`=,"";é Negotiate YWJj==`)
	f.Fuzz(func(t *testing.T, header string) {
		once := wanted(header)
		if once == "" {
			t.Error("nothing said")
		}
		for _, c := range parseChallenges(header) {
			if c.scheme == "" {
				t.Errorf("a challenge without a scheme from %q", header)
			}
		}
	})
}
