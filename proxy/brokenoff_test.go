package proxy

import (
	"strconv"
	"testing"
	"time"
)

func TestBrokenOff(t *testing.T) {
	l := newBrokenOff(time.Minute)
	for _, test := range []struct {
		what  string
		after time.Duration
		want  bool
	}{{"a", 0, true}, {"b", 0, true}, {"a", time.Second, false}, {"a", 59 * time.Second, false},
		{"a", 2 * time.Minute, true}} {
		if got := l.first(test.what, start.Add(test.after)); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
	for _, test := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {59 * time.Second, false}, {time.Minute, true}, {119 * time.Second, false}, {2 * time.Minute, true}} {
		if got := l.due("c", start.Add(test.after)); got != test.want {
			t.Errorf("due: %+v: %v", test, got)
		}
	}
	for i := range 2 * maxBrokenOff {
		l.first(strconv.Itoa(i), start)
	}
	if l.at.Len() != maxBrokenOff {
		t.Errorf("%d kept", l.at.Len())
	}
}
