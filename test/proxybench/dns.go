package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// What a resolver waits for, and how many of the queries have to be answered by then.
const (
	dnsBound  = 100 * time.Millisecond
	dnsTarget = 0.999
)

// queries are sent at their times, whether or not those before are answered.
type queries struct {
	rate int // a second
	time time.Duration
}

// beside sends the queries to a gateway while blobs are pulled through it as fast as it can, and as many to an idle one
// at the same time: what those wait for is the machine.
func (q queries) beside(ctx context.Context, f, idle *front, l load, out io.Writer) error {
	pulls, err := startPulls(ctx, f, l)
	if err != nil {
		return err
	}
	type asked struct {
		answers
		err error
	}
	control := make(chan asked, 1)
	go func() {
		a, err := q.ask(ctx, idle.setup.dns)
		control <- asked{a, err}
	}()
	loaded, err := q.ask(ctx, f.setup.dns)
	without := <-control
	blobs, pullErr := pulls.end()
	if err := errors.Join(err, without.err, pullErr); err != nil {
		return err
	}
	mib := float64(blobs) * float64(len(l.blob)) / (1 << 20)
	fmt.Fprintf(out, "%s%s%s", dnsHead, q.line(fmt.Sprintf("the gateway of the pulls, %.0f MiB/s",
		mib/q.time.Seconds()), loaded), q.line("an idle one at the same time", without.answers))
	return nil
}

// pulls go on until they are ended.
type pulls struct {
	session session
	blobs   atomic.Int64
	stop    chan struct{}
	done    chan error
}

func startPulls(ctx context.Context, f *front, l load) (*pulls, error) {
	s, err := overHTTP1(pullBlob)(ctx, f, l)
	if err != nil {
		return nil, err
	}
	p := &pulls{session: s, stop: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		for {
			select {
			case <-p.stop:
				p.done <- nil
				return
			default:
			}
			if err := s.run(l.at); err != nil {
				p.done <- err
				return
			}
			p.blobs.Add(int64(l.at))
		}
	}()
	return p, nil
}

// end returns how many blobs were pulled whole before it was called.
func (p *pulls) end() (int64, error) {
	defer p.session.close()
	blobs := p.blobs.Load()
	close(p.stop)
	return blobs, <-p.done
}

// answers are what became of queries.
type answers struct {
	took []time.Duration // of those that were answered, sorted
	late time.Duration   // that one was sent at most
}

// ids is how many queries can be told apart.
const ids = 1 << 16

func (q queries) ask(ctx context.Context, server string) (a answers, err error) {
	conn, err := dialUDP(ctx, server)
	if err != nil {
		return a, err
	}
	defer conn.Close()
	began := time.Now()
	if err := conn.SetDeadline(began.Add(q.time + 10*dnsBound)); err != nil {
		return a, err
	}
	sent := make([]atomic.Int64, ids) // by the query's id: nanoseconds since 1970; 0: none, or answered
	received := make(chan error, 1)
	go func() {
		var err error
		a.took, err = receive(conn, sent)
		received <- err
	}()
	a.late, err = q.send(conn, began, sent)
	err = errors.Join(err, <-received)
	slices.Sort(a.took)
	return a, err
}

// dialUDP has the kernel say when each answer came: what reads them has to wait for its turn beside the pulls.
func dialUDP(ctx context.Context, server string) (*net.UDPConn, error) {
	control := func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		}), err)
	}
	conn, err := (&net.Dialer{Control: control}).DialContext(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	udp := conn.(*net.UDPConn)
	return udp, udp.SetReadBuffer(4 << 20)
}

func (q queries) count() int { return int(float64(q.rate) * q.time.Seconds()) }

func (q queries) send(conn net.Conn, began time.Time, sent []atomic.Int64) (late time.Duration, err error) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(hostname), dns.TypeA)
	for i := range q.count() {
		due := time.Duration(i) * time.Second / time.Duration(q.rate)
		if wait := due - time.Since(began); wait > 0 {
			time.Sleep(wait)
		}
		query.Id = uint16(i % ids)
		packed, err := query.Pack()
		if err != nil {
			return late, err
		}
		now := time.Now()
		late = max(late, now.Sub(began)-due)
		sent[query.Id].Store(now.UnixNano())
		if _, err := conn.Write(packed); err != nil {
			return late, err
		}
	}
	return late, nil
}

// receive reads answers until the deadline.
func receive(conn *net.UDPConn, sent []atomic.Int64) (took []time.Duration, err error) {
	buffer, control := make([]byte, dns.MaxMsgSize), make([]byte, 128)
	for {
		n, m, _, _, err := conn.ReadMsgUDP(buffer, control)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return took, nil
		}
		if err != nil {
			return nil, err
		}
		at, err := arrival(control[:m])
		if err != nil {
			return nil, err
		}
		var answer dns.Msg
		if err := answer.Unpack(buffer[:n]); err != nil {
			return nil, err
		}
		if answer.Rcode != dns.RcodeSuccess || len(answer.Answer) == 0 {
			return nil, fmt.Errorf("an answer without an address: %s", &answer)
		}
		if of := sent[answer.Id].Swap(0); of != 0 {
			took = append(took, time.Duration(at-of))
		}
	}
}

// arrival is when the kernel had a packet, in nanoseconds since 1970.
func arrival(control []byte) (int64, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, err
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS {
			var at unix.Timespec
			_, err := binary.Decode(m.Data, binary.NativeEndian, &at)
			return at.Nano(), err
		}
	}
	return 0, errors.New("an answer without the time of its arrival")
}

var dnsHead = fmt.Sprintf("| queries to | sent | a second | answered | within %v | 50 %% | 99 %% | 99.9 %% | longest | "+
	"sent late by at most | target | |\n|%s\n", dnsBound, strings.Repeat(" --- |", 12))

func (q queries) line(to string, a answers) string {
	inTime := 0
	for _, t := range a.took {
		if t <= dnsBound {
			inTime++
		}
	}
	share := float64(inTime) / float64(q.count())
	verdict := "pass"
	if share < dnsTarget {
		verdict = "FAIL"
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
	return fmt.Sprintf("| %s | %d | %d | %d | %.3f %% | %s | %s | %s | %s | %s | ≥ %.1f %% | %s |\n", to, q.count(), q.rate,
		len(a.took), 100*share, ms(quantile(a.took, 0.5)), ms(quantile(a.took, 0.99)), ms(quantile(a.took, 0.999)),
		ms(quantile(a.took, 1)), ms(a.late), 100*dnsTarget, verdict)
}

// quantile of what is sorted; of nothing it is 0.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
