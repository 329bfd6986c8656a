package ledger_test

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// open opens a ledger that ends with the example.
func open(dir string) *ledger.Ledger {
	l, err := ledger.Open(dir, "gw1", ledger.Named("west", "east"), time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err) // only for arguments that are wrong
	}
	return l
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	l := open(dir)
	defer l.Close()
	fmt.Println(l.Available()) // or why it cannot be opened yet
	// Output: <nil>
}

func ExampleLedger_Push() {
	l := open("") // a temporary one
	defer l.Close()
	v1 := ledger.Reference{Repository: "team/app", Name: "v1"}
	e, err := l.Push(v1, ledger.Content{Digest: digest, Size: 1234}, "west", ledger.Request{})
	if err != nil {
		panic(err)
	}
	fmt.Println(e.Name, e.Digest == digest, e.Confirmed)
	// Output: v1 true [west]
}

func ExampleLedger_Pending() {
	l := open("")
	defer l.Close()
	v1 := ledger.Reference{Repository: "team/app", Name: "v1"}
	if _, err := l.Push(v1, ledger.Content{Digest: digest, Size: 1234}, "west", ledger.Request{}); err != nil {
		panic(err)
	}
	for after := ledger.Cursor(""); ; {
		entries, next, err := l.Pending("east", after, 100)
		if err != nil {
			panic(err)
		}
		for _, e := range entries {
			fmt.Println(e.Name, e.Implied)
			if err := l.Confirm(e, "east"); err != nil { // once it is there
				panic(err)
			}
		}
		if after = next; next == "" {
			break
		}
	}
	left, _, err := l.Pending("east", "", 100)
	fmt.Println(len(left), err)
	// Output:
	// sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 true
	// v1 false
	// 0 <nil>
}
