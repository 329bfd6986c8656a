package h1

import "time"

// sending is the body of a request on its way over a connection, while its answer may come already.
type sending struct {
	// Static.
	conn   *conn
	from   *attempt
	wanted chan bool     // whether the server wants it, where it is to say so; has room for one
	done   chan struct{} // nil: nothing was started

	err error // of sending, once done is closed
}

// start sends the body, or waits until the server says that it wants it.
func (s *sending) start() {
	if s.from.of.body == nil {
		return
	}
	s.wanted, s.done = make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(s.done)
		if s.isWanted() {
			s.err = s.conn.send(s.from)
		} else {
			s.err = errNotWanted
		}
	}()
}

func (s *sending) isWanted() bool {
	if !s.from.of.expect {
		return true
	}
	timer := time.NewTimer(s.conn.pool.client.ContinueTimeout)
	defer timer.Stop()
	select {
	case wanted := <-s.wanted:
		return wanted
	case <-timer.C: // servers that do not know the field just wait
		return true
	}
}

// say tells whether the server wants the body. What is said first counts.
func (s *sending) say(wanted bool) {
	if s.done == nil {
		return
	}
	select {
	case s.wanted <- wanted:
	default:
	}
}

// lingers is how long a body may still be on its way when all of the answer has come.
const lingers = 50 * time.Millisecond

// finished reports whether all of the body was sent. It is called when all of the answer has come.
func (s *sending) finished() bool {
	if s.done == nil {
		return true
	}
	s.say(false)
	timer := time.NewTimer(lingers)
	defer timer.Stop()
	select {
	case <-s.done:
		return s.err == nil
	case <-timer.C:
		return false
	}
}
