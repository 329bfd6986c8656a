package oci

import (
	"reflect"
	"testing"
)

func TestChallenges(t *testing.T) {
	type with = map[string]string
	for _, c := range []struct {
		name, line string
		want       []Challenge
	}{
		{"none", "", nil},
		{"a scheme alone", `Basic`, []Challenge{{"basic", with{}}}},
		{"basic", `Basic realm="Registry Realm"`, []Challenge{{"basic", with{"realm": "Registry Realm"}}}},
		{"bearer", `Bearer realm="https://auth.contoso.com/token",service="registry.contoso.com",` +
			`scope="repository:app:pull,push"`,
			[]Challenge{{"bearer", with{
				"realm": "https://auth.contoso.com/token", "service": "registry.contoso.com",
				"scope": "repository:app:pull,push",
			}}}},
		{"two", `Basic realm="a", Bearer realm="b" , service=c`,
			[]Challenge{{"basic", with{"realm": "a"}}, {"bearer", with{"realm": "b", "service": "c"}}}},
		{"two, the other way round", `Bearer realm="x",a="b" , Basic realm="z"`,
			[]Challenge{{"bearer", with{"realm": "x", "a": "b"}}, {"basic", with{"realm": "z"}}}},
		{"the first without parameters", `Negotiate, Basic realm="z"`,
			[]Challenge{{"negotiate", with{}}, {"basic", with{"realm": "z"}}}},
		{"none with parameters", `Negotiate, Basic`, []Challenge{{"negotiate", with{}}, {"basic", with{}}}},
		{"no quotes", `Bearer realm=x,service = "y"`, []Challenge{{"bearer", with{"realm": "x", "service": "y"}}}},
		{"an address without quotes", `Bearer realm=https://x/token?a=b,service=y`,
			[]Challenge{{"bearer", with{"realm": "https://x/token?a=b", "service": "y"}}}},
		{"spaces around equals", `Bearer REALM = "a"`, []Challenge{{"bearer", with{"realm": "a"}}}},
		{"separators within quotes", `BASIC realm="a, \"b\" c=d"`, []Challenge{{"basic", with{"realm": `a, "b" c=d`}}}},
		{"escaped", `Basic realm="a\"b\\"`, []Challenge{{"basic", with{"realm": `a"b\`}}}},
		{"quotes without their end", `Bearer service=a, realm="b\`, []Challenge{{"bearer", with{"service": "a"}}}},
		{"quotes with nothing", `Bearer realm="`, []Challenge{{"bearer", with{}}}},
		{"parameters of no scheme", `realm="x"`, nil},
		{"parameters before a scheme", `realm="a", Basic`, []Challenge{{"basic", with{}}}},
		{"a quote alone", `"`, nil},
		{"rubbish", `"";=é Basic`, []Challenge{{"basic", with{}}}},
	} {
		if got := Challenges(c.line); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzChallenges(f *testing.F) {
	for _, s := range []string{
		`Bearer realm="https://auth.test/token?a=b",service="registry"`, `Basic realm="a\`,
		`Negotiate, Basic realm="z", =`,
		`=,"";é Negotiate YWJj==`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, c := range Challenges(line) {
			if word, rest := token(c.Scheme); word == "" || rest != "" {
				t.Errorf("%q is no scheme", c.Scheme)
			}
		}
	})
}
