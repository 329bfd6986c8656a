package command

import (
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
)

// TestScreen: lines are rewritten in place, and nothing that others said moves the cursor.
func TestScreen(t *testing.T) {
	var b strings.Builder
	s := screen{w: &b}
	s.draw("one", "two")
	s.draw("three\x1b[2J" + strings.Repeat("x", 200))
	s.draw()
	if want := "one\ntwo\n\x1b[2A\x1b[Jthree [2J" + strings.Repeat("x", columns-9) +
		"\n\x1b[1A\x1b[J"; b.String() != want {
		t.Errorf("%q, not %q", b.String(), want)
	}
	b.Reset()
	newScreen(&b).draw("one")
	if b.String() != "" {
		t.Errorf("%q where there is no terminal", b.String())
	}
}

func TestInBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB",
		5 << 20: "5.0 MiB", 1 << 40: "1.0 TiB", 1 << 62: "4096.0 PiB"} {
		if got := inBytes(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
}

func TestPrintImage(t *testing.T) {
	var b strings.Builder
	i := admin.Image{Repository: "app", Reference: "v1", Deleted: true, AcceptedBy: "westus", Gateway: "gw1",
		Accepted: time.Unix(1, 0).UTC(),
		Replicas: []admin.Place{{Replica: "westus", State: admin.There}, {Replica: "eastus", State: admin.Pending}}}
	if err := printImage(&b, i); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"app:v1", "deleted", "1970-01-01T00:00:01Z at westus, through gateway gw1", "gone",
		"pending"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q:\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := printImage(&b, admin.Image{Repository: "app", Reference: "v1", AcceptedBy: "westus"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "found       at westus") || strings.Contains(b.String(), "pushed  ") {
		t.Errorf("of what was found:\n%s", b.String())
	}
}
