package gateway

import (
	"fmt"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// changeCertificate has clients' next connections shown the certificate that the file names now. One that is replaced
// under its name needs no change.
func (g *Gateway) changeCertificate(c *configs.Config) (swap func(), err error) {
	now := g.live.config().Proxy.TLS
	if t := c.Proxy.TLS; now == nil || t == nil || t.Certificate == now.Certificate && t.Key == now.Key {
		return func() {}, nil
	}
	pair, err := keyfiles.Pair(c.Proxy.TLS.Certificate, c.Proxy.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("proxy.tls: %w", err)
	}
	return func() { g.certificate.Store(&pair) }, nil
}
