package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/proxy"
)

// Run serves until ctx ends. Then the gateway takes its leave: DNS and the admin listener go on until requests under
// way have finished. Run returns when all has stopped, and is called once.
func (g *Gateway) Run(ctx context.Context) error {
	defer func() {
		if err := g.close(); err != nil {
			g.log.Error("the ledger or the queue of webhooks was not closed: what was written last may be lost",
				"error", err)
		}
	}()
	open := g.open
	defer open.close()
	// What must outlive the drain runs under serving, which ends when draining has.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	all, failed := errgroup.WithContext(serving)
	all.Go(func() error { g.monitor.Run(failed); return nil })
	all.Go(func() error { g.monitor.Remember(failed, healthFile(g.live.config())); return nil })
	all.Go(func() error { g.writeProbes.Run(failed); return nil })
	all.Go(func() error { g.monitor.Account(failed, availabilityFile(g.live.config())); return nil })
	if g.agreed != nil {
		all.Go(func() error { return g.agreed.run(failed) })
	}
	all.Go(func() error { return g.copying.run(failed, g.monitor.Ready()) })
	all.Go(func() error { g.hooks.run(failed); return nil })
	all.Go(func() error { return g.geo.run(failed, g.log) })
	all.Go(func() error { return g.follow(failed) })
	all.Go(func() error { return g.followShared(failed) })
	all.Go(func() error { every(failed, leaveEvery, g.letGo); return nil })
	// DNS ends after all else: who asks a nameserver that is gone waits for seconds.
	answering, silence := context.WithCancel(context.WithoutCancel(ctx))
	defer silence()
	names, unanswered := errgroup.WithContext(answering)
	for _, conn := range open.udp {
		names.Go(func() error { return g.dns.ServeUDP(unanswered, conn) })
	}
	for _, l := range open.tcp {
		names.Go(func() error { return g.dns.ServeTCP(unanswered, l) })
	}
	all.Go(func() error {
		select {
		case <-unanswered.Done():
			return context.Cause(unanswered)
		case <-failed.Done():
			return nil
		}
	})
	clients := proxy.NewServer(http.HandlerFunc(g.serveClient), g.tls, g.limiter, g.memory.proxy,
		g.silence, g.log)
	var doors []net.Listener
	for _, l := range open.proxy {
		doors = append(doors, l)
		bounded := proxy.Listener(l, g.tls, g.limiter, g.trustedProxies, g.log)
		all.Go(func() error { return served(clients.Serve(bounded)) })
	}
	operators := &http.Server{
		Handler:           g.adminHandler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	all.Go(func() error { return served(operators.Serve(open.admin)) })
	all.Go(func() error {
		select {
		case <-ctx.Done():
			g.leave(failed)
			g.finish(clients, doors)
		case <-failed.Done():
		}
		_ = clients.Close()
		_ = operators.Close()
		g.proxy.Close()
		g.upstreams.Close()
		stop()
		return nil
	})
	err := all.Wait()
	silence()
	return errors.Join(err, names.Wait())
}

func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// every runs do once in each pause, until ctx ends.
func every(ctx context.Context, pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}
