package test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestFewDescriptors: a gateway that may have 256 files open, and 400 clients that each hold a connection. Names are
// answered, so are operators, whoever comes next is served, and no replica is said to be down for what the gateway
// lacks.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	const clients, files = 400, 256
	registries := startRegistries(t, memoryKind, splitReplicas[:2])
	limited := []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, files), "sh", built(t, fairleadProgram)}
	g := startCommand(t, limited, "gateway", "127.0.0.1", file{
		here: splitReplicas[0].name, health: "{interval: 1s, timeout: 1s, fronts: false}", networks: splitNetworks,
		replicas: withUpstreams(splitReplicas[:2], registries),
	})
	answered := 0
	for range clients {
		conn, err := net.DialTimeout("tcp", g.listen, patient(10*time.Second))
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		must(t, conn.SetDeadline(time.Now().Add(patient(10*time.Second))))
		fmt.Fprintf(conn, "GET /v2/ HTTP/1.1\r\nHost: %s\r\n\r\n", hostname)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && response.StatusCode == http.StatusOK {
			answered++
		}
	}
	if answered != clients {
		t.Errorf("%d of %d clients were answered", answered, clients)
	}
	probes := func() float64 { return g.metric(t, probesMetric, `result="ok"`) }
	before := probes()
	waitFor(t, startBound, "probes", func() error {
		for _, network := range []string{"udp", "tcp"} {
			answer, err := askDNS(network, g.dns, hostname, dns.TypeA, "127.0.1.0/24")
			if err != nil || len(answer.Answer) != 1 {
				t.Errorf("a query by %s was lost: %v", network, err)
			}
		}
		if n := probes() - before; n < 12 {
			return fmt.Errorf("%v", n)
		}
		return nil
	})
	if down := g.down(t); len(down) > 0 {
		t.Errorf("%v down", down)
	}
	shed, short := g.metric(t, "fairlead_proxy_idle_connections_closed_total"),
		g.metricOrZero(t, probesMetric, `result="shortage"`)
	t.Logf("figure: %d descriptors, %d clients that stay: %d answered, %v connections closed for others, %v probes without a descriptor",
		files, clients, answered, shed, short)
}
