// Package machines makes hosts for tests: network namespaces whose only link is a wire through this process, which
// delays what it carries and cuts off whom it is told to, in one direction if need be.
package machines

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Network is a set of machines, by number from 0. Machine i has all addresses of 10.N.i.0/24, N a network's own.
type Network struct {
	// Static after New.
	number int
	names  []string // of the namespaces
	wire   *wire
}

const (
	namespaces  = "/run/netns" // where iproute2 keeps them
	prefix      = "fairlead-test"
	maxMachines = 100
)

var networks atomic.Int32

// Available says what is missing for New; nil if nothing is.
func Available() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("iproute2 is not installed")
	}
	_, err := os.Stat("/dev/net/tun")
	return err
}

// New makes count machines. The caller closes it once nothing runs on them any more.
func New(count int) (*Network, error) {
	if count > maxMachines {
		return nil, fmt.Errorf("%d machines are too many", count)
	}
	sweep()
	n := &Network{number: int(networks.Add(1)) % 256}
	var ends []*os.File
	for i := range count {
		end, err := n.add(i)
		if err != nil {
			for _, f := range ends {
				_ = f.Close()
			}
			return nil, errors.Join(err, n.remove())
		}
		ends = append(ends, end)
	}
	n.wire = newWire(ends)
	return n, nil
}

// add makes a machine, and returns the end of its cable.
func (n *Network) add(i int) (*os.File, error) {
	name := fmt.Sprintf("%s-%d-%d-%d", prefix, os.Getpid(), n.number, i)
	if err := ip("netns", "add", name); err != nil {
		return nil, err
	}
	n.names = append(n.names, name)
	var end *os.File
	if err := n.On(i, func() (err error) { end, err = tun(); return err }); err != nil {
		return nil, err
	}
	own := netip.PrefixFrom(n.IP(i, 0), 24).String()
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", n.IP(i, 1).String() + "/16", "dev", device},
		{"link", "set", device, "up"},
		{"route", "add", "local", own, "dev", "lo"}, // the whole prefix is ours
	} {
		if err := ip(append([]string{"-n", name}, args...)...); err != nil {
			_ = end.Close()
			return nil, err
		}
	}
	return end, nil
}

const device = "wan"

// tun opens one end of a cable: a network device of the namespace that the calling thread is in.
func tun() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(device)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("tun: %w", err)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil // only now: before, it cannot be polled
}

// Close takes the machines away.
func (n *Network) Close() error {
	n.wire.close()
	return n.remove()
}

func (n *Network) remove() error {
	var all []error
	for _, name := range n.names {
		all = append(all, ip("netns", "delete", name))
	}
	return errors.Join(all...)
}

// IP is one of machine i's addresses.
func (n *Network) IP(i, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n.number), byte(i), byte(host)})
}

// Machine is the one that has an address.
func (n *Network) Machine(a netip.Addr) (i int, ok bool) {
	if b := a.As16(); a.Unmap().Is4() && b[12] == 10 && b[13] == byte(n.number) && int(b[14]) < len(n.names) {
		return int(b[14]), true
	}
	return 0, false
}

// Command is what runs program on machine i.
func (n *Network) Command(i int, program string, args ...string) (string, []string) {
	return "ip", append([]string{"netns", "exec", n.names[i], program}, args...)
}

// Dial connects from machine i.
func (n *Network) Dial(ctx context.Context, i int, d net.Dialer, network, address string) (conn net.Conn, err error) {
	err = n.On(i, func() (err error) { conn, err = d.DialContext(ctx, network, address); return err })
	return conn, err
}

// Listen listens on machine i.
func (n *Network) Listen(ctx context.Context, i int, address string) (l net.Listener, err error) {
	err = n.On(i, func() (err error) { l, err = new(net.ListenConfig).Listen(ctx, "tcp", address); return err })
	return l, err
}

// On runs do in a thread on machine i: sockets that it opens stay there. do must open them in its own goroutine.
func (n *Network) On(i int, do func() error) error {
	there, err := os.Open(filepath.Join(namespaces, n.names[i]))
	if err != nil {
		return err
	}
	defer there.Close()
	runtime.LockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer here.Close()
	if err := enter(there); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = do()
	// The thread has to come back: the kernel kills the programs that it has started when it ends.
	if back := enter(here); back != nil {
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

func enter(namespace *os.File) error {
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}

// Delay is how long a packet between two machines is under way from now on, in one direction.
func (n *Network) Delay(oneWay time.Duration) { n.wire.delay.Store(int64(oneWay)) }

// Cut loses what goes from one machine to another, from now on until Heal.
func (n *Network) Cut(from, to int) { n.wire.cut[from][to].Store(true) }

// Heal loses nothing any more.
func (n *Network) Heal() {
	for from := range n.wire.cut {
		for to := range n.wire.cut[from] {
			n.wire.cut[from][to].Store(false)
		}
	}
}

func ip(args ...string) error {
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// sweep takes away what a test left that was killed.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(namespaces, prefix+"-*"))
	for _, path := range left {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, prefix+"-"), "-")
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			_ = ip("netns", "delete", name)
		}
	}
}
