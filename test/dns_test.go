package test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// askDNS sends one query with the client's subnet and returns the answer.
func askDNS(transport, server, name string, qtype uint16, subnet string) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	if subnet != "" {
		q.SetEdns0(1232, false)
		p := netip.MustParsePrefix(subnet)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice(),
		}}
	}
	bound := patient(2 * time.Second)
	ctx, stop := context.WithTimeout(context.Background(), bound)
	defer stop()
	conn, err := caller{}.DialContext(ctx, transport, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answer, _, err := (&dns.Client{Net: transport, Timeout: bound}).ExchangeWithConnContext(ctx, q,
		&dns.Conn{Conn: conn})
	return answer, err
}

// addressOf is the address that a server hands out for the hostname to clients of a subnet.
func addressOf(server, subnet string) (string, error) {
	answer, err := askDNS("udp", server, hostname, dns.TypeA, subnet)
	if err != nil {
		return "", err
	}
	if len(answer.Answer) != 1 {
		return "", fmt.Errorf("%s answers %s", server, answer)
	}
	a, ok := answer.Answer[0].(*dns.A)
	if !ok {
		return "", fmt.Errorf("%s answers %s", server, answer)
	}
	return a.A.String(), nil
}

// resolveTry is how long a resolver waits for one server of a zone before it asks the next one too. A server that was
// killed may have taken the question with it, and no packet says so.
const resolveTry = 400 * time.Millisecond

// resolve asks one server after the other, as resolvers do with the servers of a zone, and takes the first answer.
func resolve(servers []string, subnet string) (string, error) {
	type reply struct {
		address string
		err     error
	}
	replies := make(chan reply, len(servers))
	var all []error
	asked := 0
	ask := func() {
		server := servers[asked]
		asked++
		go func() {
			address, err := addressOf(server, subnet)
			replies <- reply{address, err}
		}()
	}
	for len(all) < len(servers) {
		var late <-chan time.Time
		if asked == len(all) {
			ask()
		}
		if asked < len(servers) {
			late = time.After(resolveTry)
		}
		select {
		case r := <-replies:
			if r.err == nil {
				return r.address, nil
			}
			all = append(all, r.err)
		case <-late:
			ask()
		}
	}
	return "", errors.Join(all...)
}
