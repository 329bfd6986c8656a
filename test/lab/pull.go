package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// pullModes are what happens to the replica that serves a pull, at a random byte of it.
var pullModes = map[string]func(round int) func(*link){
	"pull-kill": func(int) func(*link) { return func(l *link) { l.replica.kill() } },
	"pull-stop": func(int) func(*link) { return func(l *link) { l.replica.stop() } },
	"pull-slow": func(int) func(*link) { return func(l *link) { l.slow.Store(true) } },
	// In turn by RST and FIN, and with new connections and without.
	"pull-cut": func(round int) func(*link) {
		return func(l *link) {
			l.broken.Store(round/2%2 == 1)
			l.cut(round%2 == 0)
		}
	},
}

func (c cell) pulls() bool { return pullModes[c.Mode] != nil }

// pullAll pulls an image that all three replicas have, again and again, through one gateway, whose connections to the
// replicas pass by way of the lab.
func (w *worker) pullAll(ctx context.Context, b *bench, s step, images []image) ([]end, error) {
	i := images[0]
	b.data = b.file("data")
	if err := b.fill(ctx, s.Cell, i); err != nil {
		return nil, err
	}
	ends := make([]end, s.Pushes)
	for n := range ends {
		round := &bench{dir: b.file(fmt.Sprintf("round-%d", n)), data: b.data, fairlead: b.fairlead,
			programs: b.programs}
		if err := os.Mkdir(round.dir, 0o700); err != nil {
			return nil, err
		}
		var err error
		ends[n], err = w.pullOnce(ctx, round, s.Cell, i, s.First+n)
		round.close()
		if err != nil {
			return nil, err
		}
	}
	return ends, nil
}

// fill puts the image where all replicas find it.
func (b *bench) fill(ctx context.Context, c cell, i image) error {
	p, err := b.startRegistry(ctx, c.Registry, replicas[0])
	if err != nil {
		return err
	}
	defer p.kill()
	err = run(ctx, b.programs["crane"].Path, "--insecure", "push", i.dir,
		replicas[0].registry+port+"/"+i.repository+":"+imageTag)
	if err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(i.dir)) // it may be large
}

func (w *worker) pullOnce(ctx context.Context, b *bench, c cell, i image, round int) (end, error) {
	f := &fault{after: strikeAt(c, round, i.size()), strike: pullModes[c.Mode](round)}
	links, err := b.linkReplicas(ctx, c, f)
	if err != nil {
		return end{}, err
	}
	if err := b.startGateway(ctx, replicas[0], linked(replicas), "health: {fronts: false}\n"); err != nil {
		return end{}, err
	}
	gateway := func() string { return replicas[0].gateway + port }
	slow := newPace(i.size(), pullTime)
	if err := b.front(connectionFront(ctx, frontIP+port, straight(gateway), slow)); err != nil {
		return end{}, err
	}
	if err := b.resolve(ctx, c, atTheFront()); err != nil {
		return end{}, err
	}
	before, began := sentBy(links), time.Now()
	line := w.client.pull(w.host, i)
	pulled := run(ctx, line[0], line[1:]...)
	seconds := time.Since(began).Seconds()
	e, err := judgePulled(home, i, pulled, f.struck.Load())
	e.fetched = math.Round(float64(sentBy(links)-before)/float64(i.size())*1e4) / 1e4
	e.seconds = math.Round(seconds*10) / 10
	return e, errors.Join(err, w.dropPulled(ctx, i, pulled))
}

// strikeAt is the byte of a round, the same whenever it is run.
func strikeAt(c cell, round, size int) int64 {
	return seeded(c.Client+" "+c.Mode, round).Int64N(int64(size))
}

// linked are the replicas as the gateway sees them.
func linked(list []replica) []replica {
	var seen []replica
	for _, r := range list {
		r.registry = r.link
		seen = append(seen, r)
	}
	return seen
}

func (b *bench) linkReplicas(ctx context.Context, c cell, f *fault) ([]*link, error) {
	var links []*link
	for _, r := range replicas {
		p, err := b.startRegistry(ctx, c.Registry, r)
		if err != nil {
			return nil, err
		}
		l := &link{replica: p, fault: f, open: map[*net.TCPConn]bool{}}
		if err := b.front(l.listen(ctx, r.link+port, r.registry+port)); err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

func sentBy(links []*link) int64 {
	sum := int64(0)
	for _, l := range links {
		sum += l.sent.Load()
	}
	return sum
}

// dropPulled makes room, and makes the client pull anew. Of a pull that failed there may be nothing to drop.
func (w *worker) dropPulled(ctx context.Context, i image, pulled error) error {
	if w.client.drop == nil {
		return os.RemoveAll(w.host.pulled())
	}
	if err := w.client.drop(ctx, w.host, i); pulled == nil {
		return err
	}
	return nil
}

// judgePulled looks for the content itself wherever the client keeps it, packed or unpacked.
func judgePulled(dir string, i image, pulled error, struck bool) (end, error) {
	if pulled != nil {
		return failure(pulled), nil
	}
	sizes := map[int]bool{}
	for _, forms := range i.forms {
		for _, form := range forms {
			sizes[form.Size] = true
		}
	}
	found, err := digestsBelow(dir, sizes)
	if err != nil {
		return end{}, err
	}
	for n, forms := range i.forms {
		if !slices.ContainsFunc(forms, func(d descriptor) bool { return found[d.Digest] }) {
			return end{outcome: damaged, detail: fmt.Sprintf("layer %d is nowhere", n)}, nil
		}
	}
	if !struck {
		return end{outcome: unharmed}, nil
	}
	return end{outcome: ok}, nil
}

// digestsBelow are those of all files of some sizes, but for what the lab itself keeps there.
func digestsBelow(dir string, sizes map[int]bool) (map[string]bool, error) {
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // daemons tidy up meanwhile
			return nil
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), cellPrefix):
			return fs.SkipDir
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !info.Mode().IsRegular() || !sizes[int(info.Size())] {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			found[digestOf(content)] = true
		}
		return nil
	})
	return found, err
}
