package command

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/auth"
)

// registryAt is a registry as a command reaches it. Its name, if it has one, is what it is asked by, and has to have a
// certificate for: where its address is another.
func registryAt(role string, at *url.URL, name string, login auth.Login) transfer.Replica {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // digests are of what is stored
	}
	return transfer.Replica{
		Name: role, URL: at, Host: name,
		Transport: auth.Authorize(transport, transport, at, login), Piece: &transfer.Piece{},
	}
}

// schemeOf is clear text on this machine, as docker has it.
func schemeOf(host string) string {
	name := (&url.URL{Host: host}).Hostname()
	if ip, err := netip.ParseAddr(name); name == "localhost" || err == nil && ip.IsLoopback() {
		return "http"
	}
	return "https"
}

// dockerConfig is where docker keeps logins.
func dockerConfig(given string) string {
	if given != "" {
		return given
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker", "config.json")
}
