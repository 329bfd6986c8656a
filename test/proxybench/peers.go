package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// peer is a proxy that is measured: a program and how it is set up.
type peer struct {
	name    string
	program string // path
	gateway bool   // fairlead
	// command writes its configuration into a folder and returns how it is started.
	command func(p peer, s setup) ([]string, error)
}

// setup is what a peer is asked to do.
type setup struct {
	dir     string
	listen  string    // IP:PORT
	backend string    // IP:PORT
	tls     *identity // nil: clear text

	// Of fairlead alone, IP:PORT.
	admin, dns, profiler string
}

// haproxyPeer has the threads that it takes by default, one for each processor. It is told to splice always: with
// splice-auto alone it copies here, as strace shows, and needs half as much again.
func haproxyPeer(program string) peer {
	return peer{yardstick, program, false, func(p peer, s setup) ([]string, error) {
		bind := s.listen
		if s.tls != nil {
			bind += " ssl crt " + s.tls.both + " alpn h2,http/1.1"
		}
		return []string{p.program, "-db", "-f", s.file("haproxy.cfg")}, s.write("haproxy.cfg", fmt.Sprintf(`global
    maxconn 4096
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256

defaults
    mode http
    timeout connect 5s
    timeout client 5m
    timeout server 5m
    timeout http-keep-alive 5m
    option splice-auto
    option splice-request
    option splice-response
    option forwardfor
    http-reuse safe

frontend front
    bind %s
    http-request set-header X-Forwarded-Proto %s
    default_backend registry

backend registry
    server registry %s
`, bind, s.scheme(), s.backend))
	}}
}

// nginxPeer buffers no bodies, since blobs are larger than any buffer; its buffers are larger than the 4 and 8 KiB that
// it has by default, which would cost it three times as much.
func nginxPeer(program string) peer {
	return peer{"nginx", program, false, func(p peer, s setup) ([]string, error) {
		listen := s.listen
		secure := ""
		if s.tls != nil {
			listen += " ssl http2"
			secure = fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3; "+
				"ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;", s.tls.certificate, s.tls.key)
		}
		return []string{p.program, "-p", s.dir, "-c", s.file("nginx.conf"), "-e", "stderr"},
			s.write("nginx.conf", fmt.Sprintf(`daemon off;
user root;
worker_processes auto;
pid nginx.pid;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream registry {
        server %s;
        keepalive 64;
        keepalive_requests 1000000;
    }
    server {
        listen %s;
        %s
        keepalive_requests 1000000;
        keepalive_timeout 5m;
        client_max_body_size 0;
        client_body_buffer_size 64k;
        location / {
            proxy_pass http://registry;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_buffers 8 64k;
            proxy_buffer_size 64k;
            proxy_read_timeout 5m;
        }
    }
}
`, s.backend, listen, secure))
	}}
}

// fairleadPeer is a gateway with one replica, which copies nothing: it does what the others do. limits are those of the
// key proxy.limits; empty: as they come.
func fairleadPeer(name, program, limits string) peer {
	return peer{name, program, true, func(p peer, s setup) ([]string, error) {
		secure := ""
		if s.tls != nil {
			secure = fmt.Sprintf(", tls: {certificate: %q, key: %q}", s.tls.certificate, s.tls.key)
		}
		return []string{p.program, "serve", "--config", s.file("fairlead.yaml")},
			s.write("fairlead.yaml", fmt.Sprintf(`hostname: %s
dns: {listen: [%q], nameservers: [ns1.example.test]}
proxy: {listen: [%q]%s, limits: {%s}}
health: {fronts: false}
replicas:
  - {name: westus, place: azure/westus, addresses: [127.0.0.1], upstream: "http://%s", home: true}
admin: {listen: %q}
`, hostname, s.dns, s.listen, secure, limits, s.backend, s.admin))
	}}
}

func (s setup) file(name string) string { return filepath.Join(s.dir, name) }

func (s setup) write(name, text string) error { return os.WriteFile(s.file(name), []byte(text), 0o600) }

func (s setup) scheme() string {
	if s.tls != nil {
		return "https"
	}
	return "http"
}

// front is a peer that runs.
type front struct {
	peer    peer
	setup   setup
	running *program
}

// start runs a peer in front of a backend, and returns when it listens.
func (p peer) start(ctx context.Context, dir, backend string, tls *identity) (*front, error) {
	s := setup{dir: filepath.Join(dir, strings.ReplaceAll(p.name, "/", "-")), backend: backend, tls: tls}
	if tls != nil {
		s.dir += "-tls"
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	for _, address := range []*string{&s.listen, &s.admin, &s.dns, &s.profiler} {
		var err error
		if *address, err = freeAddress(ctx, "127.0.0.1"); err != nil {
			return nil, err
		}
	}
	command, err := p.command(p, s)
	if err != nil {
		return nil, err
	}
	running, err := begin(ctx, s.dir, "proxy", []string{profilerVariable + "=" + s.profiler}, command...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	f := &front{p, s, running}
	if err := running.waitFor(ctx, s.listen); err != nil || !p.gateway {
		return f, err
	}
	return f, f.waitReady(ctx)
}

// waitReady returns when a gateway has done what it does once.
func (f *front) waitReady(ctx context.Context) error {
	for end := time.Now().Add(startBound); ; time.Sleep(10 * time.Millisecond) {
		err := ask(ctx, http.MethodGet, "http://"+f.setup.admin+"/readyz", io.Discard)
		if err == nil || time.Now().After(end) || ctx.Err() != nil {
			return err
		}
	}
}

// ask is for what is not measured.
func ask(ctx context.Context, method, url string, into io.Writer) error {
	ctx, stop := context.WithTimeout(ctx, startBound)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	_, err = io.Copy(into, response.Body)
	return err
}
