package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"
)

// kill pushes each image through one gateway before three registries, and kills the one that owns the push, which is
// the one nearest to the clients, at a random moment of it.
func (w *worker) kill(ctx context.Context, b *bench, s step, images []image) ([]end, error) {
	ends := make([]end, len(images))
	for i, img := range images {
		round := &bench{dir: b.file(fmt.Sprintf("round-%d", i)), fairlead: b.fairlead, programs: b.programs}
		if err := os.Mkdir(round.dir, 0o700); err != nil {
			return nil, err
		}
		var err error
		ends[i], err = w.killOnce(ctx, round, s.Cell, img, moment(s.Cell.Client, s.First+i))
		round.close()
		if err != nil {
			return nil, err
		}
	}
	return ends, nil
}

// moment is when to kill in a round, from the client's first connection on. It is the same whenever the round is run.
func moment(client string, round int) time.Duration {
	return time.Duration(seeded(client, round).Int64N(int64(killPush)))
}

// seeded is random, and the same for the same round of the same name.
func seeded(name string, round int) *rand.Rand {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(sum.Sum64(), uint64(round)))
}

func (w *worker) killOnce(ctx context.Context, b *bench, c cell, i image, after time.Duration) (end, error) {
	var owner *process
	for n, r := range replicas {
		p, err := b.startRegistry(ctx, c.Registry, r)
		if err != nil {
			return end{}, err
		}
		if n == near {
			owner = p
		}
	}
	if err := b.startGateway(ctx, replicas[0], replicas,
		"health: {fronts: false, interval: 1s, timeout: 1s}\n"); err != nil {
		return end{}, err
	}
	slow := newPace(i.size(), killPush)
	began := make(chan struct{})
	first := sync.OnceFunc(func() { close(began) })
	gateway := func() string { first(); return replicas[0].gateway + port }
	if err := b.front(connectionFront(ctx, frontIP+port, straight(gateway), slow)); err != nil {
		return end{}, err
	}
	if err := b.resolve(ctx, c, atTheFront()); err != nil {
		return end{}, err
	}
	var killer sync.WaitGroup
	killer.Go(func() {
		select {
		case <-began:
			time.Sleep(after) // the moment is what is tried
		case <-ctx.Done():
		}
		owner.kill()
	})
	slow.begin()
	pushed := w.push(ctx, i)
	first() // a client that never connected
	killer.Wait()
	if _, err := b.startRegistry(ctx, c.Registry, replicas[near]); err != nil {
		return end{}, err
	}
	return judgeKilled(ctx, i, pushed)
}

// judgeKilled asks the registries that were never killed, and then the one that was, of what it had stored.
func judgeKilled(ctx context.Context, i image, pushed error) (end, error) {
	killed := registryAddresses(replicas)[near]
	owners, missing, err := audit(ctx, registryAddresses(replicas), i.repository)
	alive := 0
	for _, owner := range owners {
		if owner != killed {
			alive++
		}
	}
	switch {
	case err != nil:
		return end{}, err
	case len(missing) > 0:
		return end{outcome: damaged, detail: strings.Join(missing, "; ")}, nil
	case pushed != nil:
		return failure(pushed), nil
	case alive > 0:
		return end{outcome: ok}, nil
	case len(owners) > 0:
		return end{outcome: unharmed}, nil
	}
	return end{outcome: damaged, detail: "no registry has the tag"}, nil
}
