package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// cable is the network between members of a test: real sockets, with directions that can be cut.
type cable struct {
	mu  sync.Mutex
	cut map[[2]string]bool // Guarded by mu. From and to, by address.
}

func (n *cable) isCut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[[2]string{from, to}]
}

// sever cuts one direction, or mends it.
func (n *cable) sever(from, to *Cluster, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from.Address(), to.Address()}] = cut
}

func (n *cable) isolate(c *Cluster, others []*Cluster, cut bool) {
	for _, o := range others {
		if o != c {
			n.sever(c, o, cut)
			n.sever(o, c, cut)
		}
	}
}

type faulty struct {
	*transport
	cable *cable
	self  string
}

func (f *faulty) WriteTo(b []byte, addr string) (time.Time, error) {
	return f.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (f *faulty) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if f.cable.isCut(f.self, a.Addr) {
		return time.Now(), nil
	}
	return f.transport.WriteToAddress(b, a)
}

func (f *faulty) DialTimeout(addr string, d time.Duration) (net.Conn, error) {
	return f.DialAddressTimeout(memberlist.Address{Addr: addr}, d)
}

// A connection needs both directions.
func (f *faulty) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	if f.cable.isCut(f.self, a.Addr) || f.cable.isCut(a.Addr, f.self) {
		return nil, errors.New("cut")
	}
	return f.transport.DialAddressTimeout(a, d)
}

type node struct {
	*Cluster
	reg    *prometheus.Registry
	cancel context.CancelFunc
	done   chan struct{}
}

// stop ends a member and waits for it.
func (n *node) stop() {
	n.cancel()
	<-n.done
}

type options struct {
	onNote func(from string, data []byte)
	ahead  time.Duration
	keys   [][]byte
	peers  []string
	idle   time.Duration

	hostname string
	shared   map[string]string
}

func start(t *testing.T, net *cable, name string, o options) *node {
	t.Helper()
	reg := prometheus.NewRegistry()
	level := slog.LevelError
	if os.Getenv("CLUSTER_LOG") != "" {
		level = slog.LevelDebug
	}
	if o.idle == 0 {
		o.idle = 10 * time.Minute
	}
	cfg := Config{
		Name: name, Listen: "127.0.0.1:0", Keys: o.keys, Here: "at-" + name, Version: "test",
		Settings: Settings{Peers: o.peers, Idle: o.idle, Shared: o.shared},
		Hostname: o.hostname,
		Log:      slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level})), Registerer: reg,
	}
	c, err := newCluster(cfg, outside{
		now: func() time.Time { return time.Now().Add(o.ahead) },
		wrap: func(tr memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
			inner := tr.(*transport)
			return &faulty{inner, net, fmt.Sprintf("127.0.0.1:%d", inner.GetAutoBindPort())}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.onNote != nil {
		c.HandleNotes('t', o.onNote)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := &node{c, reg, cancel, make(chan struct{})}
	go func() {
		defer close(n.done)
		_ = c.Run(ctx)
	}()
	t.Cleanup(n.stop)
	return n
}

// three members that know each other.
func three(t *testing.T, o ...options) (*cable, []*node) {
	t.Helper()
	net := &cable{cut: map[[2]string]bool{}}
	var nodes []*node
	var peers []string
	for i := range 3 {
		var opt options
		if i < len(o) {
			opt = o[i]
		}
		opt.peers = append(opt.peers, peers...)
		n := start(t, net, fmt.Sprintf("gw%d", i+1), opt)
		nodes = append(nodes, n)
		peers = append(peers, n.Address())
	}
	together(t, nodes...)
	return net, nodes
}

func together(t *testing.T, nodes ...*node) {
	t.Helper()
	poll(t, "all members see each other", func() bool {
		for _, n := range nodes {
			for _, o := range nodes {
				// Lookup by name and process: a predecessor's entry does not count.
				if m, ok := n.members.get(o.cfg.Name); !ok || m.meta.Boot != o.boot {
					return false
				}
			}
			if len(n.Members()) != len(nodes) {
				return false
			}
		}
		return true
	})
}

// poll waits for what must come true. The bound only keeps a broken test from hanging.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > 3*time.Minute {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%s after %v", what, time.Since(begin).Round(time.Millisecond))
}

func agree(nodes []*node, repository string) bool {
	owner := nodes[0].Owner(repository)
	for _, n := range nodes {
		if n.Owner(repository) != owner {
			return false
		}
	}
	return owner != ""
}

func repositoryOf(arbiter *node, members []string, prefix string) string {
	for i := 0; ; i++ {
		if name := fmt.Sprintf("%s-%d", prefix, i); Arbiter(name, members) == arbiter.cfg.Name {
			return name
		}
	}
}

func (n *node) metric(t *testing.T, name, label, value string) float64 {
	t.Helper()
	families, err := n.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || labelled(m, label, value) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func labelled(m *dto.Metric, label, value string) bool {
	for _, l := range m.GetLabel() {
		if l.GetName() == label && l.GetValue() == value {
			return true
		}
	}
	return false
}

func textLog(to io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }
