package accesslog

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Bounds of what waits to be written.
const (
	maxWaiting = 1 << 20                // bytes of lines, beside as many that are being written
	writeAt    = 64 << 10               // bytes: as many are written at once
	writeAfter = 200 * time.Millisecond // fewer have to wait so long at most
	closeWait  = 2 * time.Second        // for the last lines, when a gateway stops
	sayEvery   = time.Minute            // that lines are lost
	maxTurns   = 16                     // files that wait for their turn behind one that takes nothing
)

// Why lines are lost: values of the metric's label.
const (
	lostSlow   = "slow"   // they came faster than the file or pipe took them
	lostFailed = "failed" // it did not take them
)

// Log is an access log. Its methods may be called by all at once.
type Log struct {
	// Static after Open.
	counted *prometheus.CounterVec
	log     *slog.Logger
	wake    chan struct{} // one signal is kept
	stop    chan struct{}
	stopped chan struct{}

	// Owned by run.
	out       output
	saidStuck time.Time // that the file cannot be opened again

	mu      sync.Mutex
	waiting []byte // lines. Guarded by mu, as all below.
	name    string // of where they go
	turns   []turn // what run has to do before
	closed  bool

	telling sync.Mutex
	unsaid  int       // lines that were lost since that was last said. Guarded by telling.
	said    time.Time // Guarded by telling.
}

// turn is what was to be written before another file took the place of the one that there was.
type turn struct {
	lines []byte
	next  output
}

// Stdout is the name of standard output.
const Stdout = "stdout"

// Open opens the file of that name, or Stdout. Lines are appended to what is there. Without a name they are dropped.
func Open(name string, reg prometheus.Registerer, log *slog.Logger) (*Log, error) {
	out, err := openOutput(name)
	if err != nil {
		return nil, err
	}
	l := &Log{
		log: log, out: out, name: name,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
		counted: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_access_log_lost_total",
			Help: "Lines that the access log lacks, by why: its file or pipe is too slow, or does not take them.",
		}, []string{"why"}),
	}
	for _, why := range []string{lostSlow, lostFailed} {
		l.counted.WithLabelValues(why)
	}
	go l.run()
	return l, nil
}

// scratch are buffers for one line each.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 1<<10); return &b }}

// Add queues an entry. It never waits for the disk or whoever reads the pipe.
func (l *Log) Add(e Entry) {
	line := scratch.Get().(*[]byte)
	*line = e.AppendTo((*line)[:0])
	if !l.queue(*line) {
		l.lose(lostSlow, 1, nil)
	}
	scratch.Put(line)
}

func (l *Log) queue(line []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.waiting)+len(line) > maxWaiting {
		return false
	}
	before := len(l.waiting)
	l.waiting = append(l.waiting, line...)
	if before == 0 || before < writeAt && len(l.waiting) >= writeAt {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// Close writes what waits, for some seconds at most. What is added afterwards is lost.
func (l *Log) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	select {
	case <-l.stopped:
	case <-time.After(closeWait): // run cannot write what it holds, which nobody can count
		l.mu.Lock()
		left := bytes.Count(l.waiting, []byte{'\n'})
		l.mu.Unlock()
		l.lose(lostSlow, left, nil)
	}
	l.tell(true, nil)
}

// Prepare has lines go to another file from the moment on when swap is called. It says whether the file can be opened,
// and keeps nothing open but a named pipe: swap need not be called.
func (l *Log) Prepare(name string) (swap func(), err error) {
	l.mu.Lock()
	same, waiting := l.name == name, len(l.turns)
	l.mu.Unlock()
	switch {
	case same:
		return func() {}, nil
	case waiting >= maxTurns:
		return nil, errManyTurns
	}
	out, err := openOutput(name)
	if info, _ := os.Stat(name); err == nil && info != nil && info.Mode()&os.ModeNamedPipe != 0 {
		return func() { l.turn(name, out) }, nil // its reader would take the end of a trial for the end of all
	}
	out.close()
	return func() { l.reopen(name) }, err
}

var errManyTurns = errors.New("the file that there was takes no lines, and others wait behind it")

func (l *Log) reopen(name string) {
	out, err := openOutput(name)
	if err != nil {
		l.log.Error("the access log cannot be opened; lines go to the file that was there", "file", name, "error", err)
		return
	}
	l.turn(name, out)
}

// turn has another file take the place of the one that there is, behind what waits for that.
func (l *Log) turn(name string, out output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = append(l.turns, turn{l.waiting, out})
	l.name, l.waiting = name, nil
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes what waits, until Close.
func (l *Log) run() {
	defer close(l.stopped)
	var batch []byte
	for stopping := false; !stopping; {
		stopping = l.await()
		l.mu.Lock()
		turns := l.turns
		l.turns = nil
		batch, l.waiting = l.waiting, batch[:0]
		l.mu.Unlock()
		for _, t := range turns {
			l.write(t.lines)
			l.out.close()
			l.out = t.next
		}
		l.write(batch)
	}
	l.out.close()
}

// await returns when there is enough to write, or what there is has waited long enough.
func (l *Log) await() (stopping bool) {
	select {
	case <-l.wake:
	case <-l.stop:
		return true
	}
	if l.isMuch() {
		return false
	}
	timer := time.NewTimer(writeAfter)
	defer timer.Stop()
	select {
	case <-l.wake:
	case <-timer.C:
	case <-l.stop:
		return true
	}
	return false
}

func (l *Log) isMuch() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) >= writeAt
}

func (l *Log) write(batch []byte) {
	if len(batch) == 0 {
		return
	}
	if err := l.out.follow(); err != nil && time.Since(l.saidStuck) >= sayEvery {
		l.saidStuck = time.Now()
		l.log.Error("the access log cannot be opened again; lines go to the file that was there",
			"file", l.out.name, "error", err)
	}
	if n, err := l.out.write(batch); err != nil {
		l.lose(lostFailed, bytes.Count(batch[n:], []byte{'\n'}), err)
	}
}

// lose counts lines that are lost.
func (l *Log) lose(why string, lines int, err error) {
	l.counted.WithLabelValues(why).Add(float64(lines))
	l.telling.Lock()
	l.unsaid += lines
	l.telling.Unlock()
	l.tell(false, err)
}

// tell says that lines were lost, once in a while, or now.
func (l *Log) tell(now bool, err error) {
	l.telling.Lock()
	defer l.telling.Unlock()
	if l.unsaid == 0 || !now && time.Since(l.said) < sayEvery {
		return
	}
	l.mu.Lock()
	name := l.name
	l.mu.Unlock()
	said := l.log.With("file", name, "lines", l.unsaid)
	if err != nil {
		said = said.With("error", err)
	}
	said.Error("lines of the access log are lost: its file or pipe is too slow, or does not take them")
	l.unsaid, l.said = 0, time.Now()
}
