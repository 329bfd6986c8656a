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

// resolve asks one server after the other, as resolvers do with the servers of a zone.
func resolve(servers []string, subnet string) (string, error) {
	var all []error
	for _, server := range servers {
		address, err := addressOf(server, subnet)
		if err == nil {
			return address, nil
		}
		all = append(all, err)
	}
	return "", errors.Join(all...)
}
