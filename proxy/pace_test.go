package proxy

import (
	"testing"
	"time"
)

type look struct {
	at    int // s
	phase phase
	moved int64
	up    bool
	turn  string // whose it is to move bytes, if not the replica's; or that the replica was down
}

func TestJudge(t *testing.T) {
	l := Limits{Window: 30 * time.Second, Silence: 100 * time.Second, Least: 1000, Commit: time.Minute,
		Alone: 40 * time.Second}
	const client, asDown = "client", "as down"
	for _, test := range []struct {
		name  string
		looks []look
		want  error // of the last look; all before are nil
	}{
		{"steady", []look{{30, sending, 1000, true, ""}, {60, sending, 2000, true, ""}, {90, sending, 3000, true, ""}},
			nil},
		{"a silent replica", []look{{29, sending, 0, true, ""}, {30, sending, 0, true, ""}}, errStalled},
		{"a byte now and then", []look{{10, sending, 1, true, ""}, {20, sending, 2, true, ""},
			{30, sending, 3, true, ""}}, errStalled},
		{"a burst does not pay for the next window",
			[]look{{30, sending, 99_000, true, ""}, {60, sending, 99_001, true, ""}}, errStalled},
		{"slow replica of an answer", []look{{5, receiving, 5000, true, ""}, {35, receiving, 5001, true, ""}},
			errStalled},
		{"a silent client", []look{{50, sending, 0, true, client}, {99, sending, 0, true, client}}, nil},
		{"for too long", []look{{50, sending, 0, true, client}, {100, sending, 0, true, client}}, errSlowClient},
		{"a client that takes nothing", []look{{5, receiving, 5000, true, client},
			{104, receiving, 5000, true, client}}, nil},
		{"for too long either", []look{{5, receiving, 5000, true, client}, {105, receiving, 5000, true, client}},
			errSlowClient},
		{"the replica's turn comes after a silent client's",
			[]look{{70, sending, 0, true, client}, {75, sending, 500, true, ""}, {99, sending, 500, true, ""}}, nil},
		{"both are slow: each its own time",
			[]look{{20, sending, 0, true, ""}, {40, sending, 0, true, client}, {49, sending, 0, true, ""},
				{50, sending, 0, true, ""}}, errStalled},
		{"a client that drips is cut before a silent one",
			[]look{{30, sending, 10, true, client}, {60, sending, 20, true, client},
				{90, sending, 30, true, client}}, errSlowClient},
		{"so is one that takes little",
			[]look{{1, receiving, 5000, true, client}, {31, receiving, 5010, true, client},
				{61, receiving, 5020, true, client}, {91, receiving, 5030, true, client}}, errSlowClient},
		{"two windows are not enough", []look{{30, sending, 10, true, client}, {60, sending, 20, true, client},
			{89, sending, 30, true, client}}, nil},
		{"nor is a silent one between them",
			[]look{{30, sending, 10, true, client}, {60, sending, 10, true, client},
				{90, sending, 20, true, client}}, nil},
		{"which takes none of them back",
			[]look{{30, sending, 400, true, client}, {60, sending, 400, true, client},
				{90, sending, 900, true, client}, {99, sending, 900, true, client},
				{120, sending, 1300, true, client}}, errSlowClient},
		{"a good window does", []look{{30, sending, 10, true, client}, {60, sending, 20, true, client},
			{90, sending, 2000, true, client}, {120, sending, 2010, true, client},
			{150, sending, 2020, true, client}}, nil},
		{"20 KB/s", []look{{30, sending, 600_000, true, client}, {60, sending, 1_200_000, true, client},
			{90, sending, 1_800_000, true, client}, {120, sending, 2_400_000, true, client}}, nil},
		{"what was moved before an answer counts for nothing in it",
			[]look{{30, sending, 10, true, client}, {60, sending, 20, true, client},
				{61, waiting, 20, true, ""}, {62, receiving, 20, true, client},
				{92, receiving, 30, true, client}}, nil},
		{"a replica that is down may still take bytes", []look{{10, sending, 10, false, ""}}, nil},
		{"a commit may take long", []look{{10, waiting, 5000, true, ""}, {50, waiting, 5000, true, ""},
			{69, waiting, 5000, true, ""}}, nil},
		{"but not for ever", []look{{10, waiting, 5000, true, ""}, {70, waiting, 5000, true, ""}}, errNoAnswer},
		{"nor at a dead replica", []look{{10, waiting, 5000, true, ""}, {11, waiting, 5000, false, ""}},
			errReplicaDown},
		{"a replica that was down takes what is sent",
			[]look{{29, sending, 5000, true, asDown}, {58, sending, 9000, true, asDown},
				{87, sending, 12000, true, asDown}}, nil},
		{"and has less time for a commit",
			[]look{{10, waiting, 5000, true, asDown}, {49, waiting, 5000, true, asDown},
				{50, waiting, 5000, true, asDown}}, errNoAnswer},
		{"a new phase begins a new window",
			[]look{{29, waiting, 5, true, ""}, {31, receiving, 5, true, ""}, {60, receiving, 5, true, ""}}, nil},
	} {
		start := time.Unix(1000, 0)
		p := newPace(sending, start)
		for i, look := range test.looks {
			var err error
			p, err = p.judge(l, start.Add(time.Duration(look.at)*time.Second),
				snapshot{look.phase, look.moved, look.up, look.turn == asDown, look.turn == client})
			last := i == len(test.looks)-1
			if !last && err != nil || last && err != test.want {
				t.Errorf("%s: look %d: %v, want %v at the end", test.name, i, err, test.want)
			}
		}
	}
}
