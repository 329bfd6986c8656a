package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

// cipherSuite is what all peers are set up to use; a connection with another one fails.
const cipherSuite = tls.TLS_AES_128_GCM_SHA256

func tlsConfig(f *front, protocol string) *tls.Config {
	return &tls.Config{RootCAs: f.setup.tls.roots, ServerName: hostname, MinVersion: tls.VersionTLS13,
		NextProtos: []string{protocol},
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.CipherSuite != cipherSuite || s.NegotiatedProtocol != protocol {
				return fmt.Errorf("%s negotiates %s and %q", f.peer.name, tls.CipherSuiteName(s.CipherSuite),
					s.NegotiatedProtocol)
			}
			return nil
		}}
}

// dial connects to a front from an address, in clear text or in TLS for a protocol.
func dial(ctx context.Context, f *front, from net.IP, protocol string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: startBound}
	if from != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: from}
	}
	conn, err := dialer.DialContext(ctx, "tcp", f.setup.listen)
	if err != nil || f.setup.tls == nil {
		return conn, err
	}
	secure := tls.Client(conn, tlsConfig(f, protocol))
	ctx, stop := context.WithTimeout(ctx, startBound)
	defer stop()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}
