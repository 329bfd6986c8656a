package health

import "time"

// What it takes to be slow, or no longer: a near replica's 20 ms instead of 2 move nobody. See docs/adr/035.
const (
	slowFactor, slowMore = 10, 300 * time.Millisecond // beyond both it is slow
	paceFactor, paceMore = 4, 100 * time.Millisecond  // within one of them it is at its usual pace again
	// paceKnown is how many answers it takes to know what is usual.
	paceKnown = 10
	// paceRise is how long it takes what is usual to grow by about itself: what is slow for a day or so is as it is.
	paceRise  = 4 * time.Hour
	leastPace = time.Millisecond
)

// paceThresholds: only a row of slow answers without a single good one between them counts. A probe is slow more often
// than it fails: a lost packet is sent again after a second.
func paceThresholds() Thresholds { return Thresholds{Down: 5, OK: 1, Up: 10} }

// Sample is one probe, as far as it says how fast a target is.
type Sample struct {
	Began time.Time
	Took  time.Duration
	Late  bool // it was given up, while requests were answered
	Fails bool // it says nothing of how fast the target is
}

// Pace is how fast a target answers its probes, and whether that is many times what is usual for it. The zero value
// knows nothing, and is not slow.
type Pace struct {
	usual   time.Duration // follows the fastest answers: down at once, up in hours
	answers int           // up to paceKnown
	history History       // down means slow
	since   time.Time     // when the first of a row of slow answers had come
	alone   bool          // it would be slow, and nobody else is known not to be
	last    Sample
}

// Slow reports whether the target answers in many times its usual time.
func (p Pace) Slow() bool { return !p.history.Up() }

// Step adds one probe that ended at now. others are the paces of other replicas' targets that are up. It becomes slow
// only if one of them was at its usual pace meanwhile: if all are slow at once, it is this gateway that is, or its way
// to all of them.
func (p Pace) Step(s Sample, now time.Time, others []Pace) Pace {
	before := p.last
	p.last = s
	if s.Fails {
		return p
	}
	result := p.judge(s)
	if !s.Late {
		p = p.learn(s, before.Began)
	}
	next := Step(paceThresholds(), p.steady(), result)
	p.alone = p.history.Up() && !next.Up() && !p.contrasts(s, others)
	if !p.alone {
		p.history = next
	}
	switch {
	case p.history.failures == 0:
		p.since = time.Time{}
	case p.since.IsZero():
		p.since = now
	}
	return p
}

// judge is the result of a probe as Step takes it: a failure is slow.
func (p Pace) judge(s Sample) Result {
	more := s.Took - p.known()
	switch {
	case s.Late:
		return Failure
	case p.answers < paceKnown:
		return Success
	case p.Slow():
		return resultIf(s.Took <= paceFactor*p.usual || more <= paceMore)
	}
	return resultIf(s.Took <= slowFactor*p.usual || more <= slowMore)
}

func resultIf(good bool) Result {
	if good {
		return Success
	}
	return Failure
}

// learn follows what is usual.
func (p Pace) learn(s Sample, before time.Time) Pace {
	took := max(s.Took, leastPace)
	switch {
	case p.answers == 0:
		p.usual = took
	case took < p.usual:
		p.usual -= (p.usual - took) / 4
	default:
		since := min(s.Began.Sub(before), time.Minute)
		p.usual = min(took, p.usual+time.Duration(float64(p.usual)*since.Seconds()/paceRise.Seconds()))
	}
	p.answers = min(p.answers+1, paceKnown)
	return p
}

// known is what is usual, 0 while nobody knows.
func (p Pace) known() time.Duration {
	if p.answers < paceKnown {
		return 0
	}
	return p.usual
}

// steady is the history, where the first answer decides nothing alone.
func (p Pace) steady() History {
	h := p.history
	h.known = true
	return h
}

// contrasts reports whether another target was at its usual pace between the first and the last of the slow answers:
// not before, when they all may have been, nor after, when whatever it was may be over.
func (p Pace) contrasts(s Sample, others []Pace) bool {
	for _, o := range others {
		meanwhile := !o.last.Fails && !o.last.Began.Before(p.since) && !o.last.Began.After(s.Began)
		if meanwhile && 4*(o.last.Took-o.known()) <= s.Took-p.known() {
			return true
		}
	}
	return false
}

// Spacing is as History's: doubt about its pace is settled as soon as doubt about whether it is up.
func (p Pace) Spacing(interval time.Duration) time.Duration { return p.steady().Spacing(interval) }

// ChangeIn is the least time after which Slow can differ; 0: nothing is about to change. next is the time until the
// next probe starts. While all are slow nothing is about to change: short answers would make the trouble worse.
func (p Pace) ChangeIn(interval, next time.Duration) time.Duration {
	if p.alone {
		return 0
	}
	return p.steady().Health(paceThresholds(), interval, next).ChangeIn
}
