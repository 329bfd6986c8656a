//go:build !linux

package splice

import "net"

// Pipe is of Linux alone.
type Pipe struct{ held int }

func newPipe() (*Pipe, error) { return nil, ErrUnsupported }

func (p *Pipe) close() {}

// Fill is of Linux alone.
func (p *Pipe) Fill(*net.TCPConn, int64, func()) (int, error) { return 0, ErrUnsupported }

// Drain is of Linux alone.
func (p *Pipe) Drain(*net.TCPConn) error { return ErrUnsupported }
