package oci_test

import (
	"fmt"

	"github.com/fairlead-gateway/fairlead/oci"
)

func ExampleIsRepository() {
	for _, name := range []string{"library/redis", "Library/redis", "team//app"} {
		fmt.Println(name, oci.IsRepository(name))
	}
	// Output:
	// library/redis true
	// Library/redis false
	// team//app false
}

func ExampleVerifies() {
	content := []byte("{}")
	digest := oci.Digest(content)
	fmt.Println(digest)
	fmt.Println(oci.Verifies(content, digest), oci.Verifies([]byte("[]"), digest))
	// Output:
	// sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
	// true false
}

func ExampleChallenges() {
	line := `Bearer realm="https://auth.example.com/token",service="registry", Basic realm="registry"`
	for _, c := range oci.Challenges(line) {
		fmt.Println(c.Scheme, c.Parameters["realm"], c.Parameters["service"])
	}
	// Output:
	// bearer https://auth.example.com/token registry
	// basic registry
}

func ExampleLink() {
	next, ok := oci.Link([]string{`</v2/app/tags/list?n=2&last=v2>; rel="next"`}, "next")
	fmt.Println(next, ok)
	// Output: /v2/app/tags/list?n=2&last=v2 true
}

func ExampleList() {
	hops, err := oci.List(`for=192.0.2.1;proto=https, for="[2001:db8::1]:4711"`)
	for _, hop := range hops {
		client, _ := hop.Value("for")
		fmt.Println(client)
	}
	fmt.Println(err)
	// Output:
	// 192.0.2.1
	// [2001:db8::1]:4711
	// <nil>
}
