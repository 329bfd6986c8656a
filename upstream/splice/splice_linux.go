package splice

import (
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Pipe holds bytes on their way. It belongs to one goroutine at a time.
type Pipe struct {
	read, write int // descriptors
	held        int // bytes
}

func newPipe() (*Pipe, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, errors.Join(ErrUnsupported, os.NewSyscallError("pipe2", err))
	}
	// A user has so many pages for pipes; beyond that a pipe keeps what it has.
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, Size)
	return &Pipe{read: ends[0], write: ends[1]}, nil
}

func (p *Pipe) close() {
	_ = unix.Close(p.read)
	_ = unix.Close(p.write)
}

// Fill waits until from has bytes, and takes what there is, most at most, into an empty pipe. It may be less than there
// is. io.EOF: there will be none. It keeps to from's read deadline. waits is called when nothing was there.
func (p *Pipe) Fill(from *net.TCPConn, most int64, waits func()) (n int, err error) {
	raw, err := from.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Read(func(fd uintptr) bool {
		n, err = p.move(int(fd), p.write, min(most, Size))
		if errors.Is(err, unix.EAGAIN) {
			waits()
			return false
		}
		return true
	})
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, os.NewSyscallError("splice", err)
	case n == 0:
		return 0, io.EOF
	}
	p.held = n
	return n, nil
}

// Drain waits until to has taken all that the pipe holds. It keeps to to's write deadline.
func (p *Pipe) Drain(to *net.TCPConn) (err error) {
	raw, err := to.SyscallConn()
	if err != nil {
		return err
	}
	waited := raw.Write(func(fd uintptr) bool {
		for p.held > 0 && err == nil {
			var n int
			n, err = p.move(p.read, int(fd), int64(p.held))
			p.held -= n
		}
		if errors.Is(err, unix.EAGAIN) {
			err = nil
			return false
		}
		return true
	})
	if waited != nil {
		return waited
	}
	return os.NewSyscallError("splice", err)
}

// move is splice(2), begun anew where a signal interrupts it.
func (p *Pipe) move(from, to int, most int64) (int, error) {
	for {
		n, err := unix.Splice(from, nil, to, nil, int(most), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if !errors.Is(err, unix.EINTR) {
			return int(max(n, 0)), err
		}
	}
}
