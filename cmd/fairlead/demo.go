package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/cmd/fairlead/gateway"
	"github.com/fairlead-gateway/fairlead/configs"
)

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "four regions on this machine: in-memory registries behind one name",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), cmd.OutOrStdout()) },
	}
}

func demo(ctx context.Context, out io.Writer) error {
	c, err := configs.Parse("demo.yaml", configs.Demo())
	if err != nil {
		return err
	}
	for _, r := range c.Replicas {
		stop, err := serveRegistry(ctx, r.Upstream.Host)
		if err != nil {
			return err
		}
		defer stop()
	}
	g, err := gateway.New(ctx, c, version().release, slog.New(newStory(out)))
	if err != nil {
		return err
	}
	fmt.Fprint(out, demoText)
	return g.Run(ctx)
}

// serveRegistry runs go-containerregistry's in-memory registry: it keeps everything in memory and
// checks nothing, which is the hardest kind of registry to keep pushes complete on.
func serveRegistry(ctx context.Context, address string) (stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &http.Server{
		Handler:           registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() { _ = s.Serve(l) }() // ends with Close
	return func() { _ = s.Close() }, nil
}

const demoText = `Fairlead: one name, four regions, all on this machine and in memory. Ctrl-C ends it.

  region          DNS answers  clients there are
  westus (home)   127.0.0.11   127.0.1.x, and all that nobody can place
  eastus          127.0.0.12   127.0.2.x
  canadacentral   127.0.0.13   127.0.3.x
  westeurope      127.0.0.14   127.0.4.x

Try this in a second terminal. Which region is nearest to whom:

  dig @127.0.0.1 -p 5300 registry.contoso.com +short +subnet=127.0.3.0/24
  dig @127.0.0.1 -p 5300 whoami.registry.contoso.com TXT +short +subnet=127.0.4.0/24
  bin/fairlead explain --config configs/demo.yaml --client 127.0.2.7
  curl -sI --interface 127.0.4.7 http://127.0.0.1:5000/v2/ | grep Fairlead-Replica

Push an image and pull it back, with docker or with crane
(go install github.com/google/go-containerregistry/cmd/crane@v0.22.1):

  docker tag IMAGE 127.0.0.1:5000/hello:v1 && docker push 127.0.0.1:5000/hello:v1
  tar cf hello.tar README.md && crane append -f hello.tar -t 127.0.0.1:5000/hello:v1
  crane digest 127.0.0.1:5000/hello:v1 && crane pull 127.0.0.1:5000/hello:v1 pulled.tar

Who owns what, and how everybody is: http://127.0.0.1:9180/leases, /fleet, /metrics
Where each request goes is shown from here on:

`
