package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	prepareBound = 2 * time.Minute
	pushBound    = 3 * time.Minute // what takes longer counts as hung
	maxDetails   = 3
	cellPrefix   = "cell-"
)

// job is all that is to be run with one client.
type job struct {
	Client   string             `json:"client"`
	Steps    []step             `json:"steps"`
	Programs map[string]program `json:"programs"`
	Fairlead program            `json:"fairlead"`
	Dir      string             `json:"dir"`  // for what is made on the way; the host has it at home
	Keep     string             `json:"keep"` // where the logs of cells go in which something went wrong
	Parallel int                `json:"parallel"`
}

// work runs a job inside the namespaces. Results go to standard output, one a line.
func work(ctx context.Context) error {
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		return err
	}
	if err := settle(ctx, j.Dir); err != nil {
		return err
	}
	at := slices.IndexFunc(clients, func(c client) bool { return c.name == j.Client })
	w := worker{job: j, client: clients[at], host: host{home, j.Programs}}
	if w.client.start != nil {
		if err := w.client.start(ctx, w.host); err != nil {
			return err
		}
	}
	var all error
	for i, s := range j.Steps {
		r, err := w.step(ctx, i, s)
		if err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", s.Cell, err)) // the others may still be run
			continue
		}
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return err
		}
	}
	return all
}

// worker runs a client's cells one after the other.
type worker struct {
	job
	client client
	host   host
}

// step runs what is missing of a cell.
func (w *worker) step(ctx context.Context, number int, s step) (result, error) {
	b := &bench{dir: filepath.Join(home, fmt.Sprint(cellPrefix, number)), fairlead: w.Fairlead.Path,
		programs: w.Programs}
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return result{}, err
	}
	defer os.RemoveAll(b.dir)
	defer b.close()
	images, err := w.images(ctx, b, number, s)
	if err != nil {
		return result{}, err
	}
	runCell := w.scatter
	switch {
	case s.Cell.Mode == "kill":
		runCell = w.kill
	case s.Cell.pulls():
		runCell = w.pullAll
	}
	began := time.Now()
	ends, err := runCell(ctx, b, s, images)
	if err != nil {
		return result{}, err
	}
	r := result{
		cell: s.Cell, Outcomes: map[string]int{}, Seconds: time.Since(began).Round(100 * time.Millisecond).Seconds(),
		Version: w.Programs[w.client.needs[0]].Version, Fairlead: w.Fairlead.Version,
		Date: began.UTC().Truncate(time.Second),
	}
	for _, e := range ends {
		r.Outcomes[e.outcome]++
		if e.split {
			r.Split++
		}
		if s.Cell.pulls() {
			r.Took = append(r.Took, e.seconds)
		}
		if e.outcome == ok && e.fetched > 0 {
			r.Fetched = append(r.Fetched, e.fetched)
		}
		if e.detail != "" && len(r.Details) < maxDetails && !slices.Contains(r.Details, e.detail) {
			r.Details = append(r.Details, e.detail)
		}
	}
	if r.bad() > 0 {
		err = w.keep(b, s, images, ends)
	}
	return r, err
}

// images are one for each push, which the client has taken in, or the one that is pulled.
func (w *worker) images(ctx context.Context, b *bench, number int, s step) ([]image, error) {
	if s.Cell.pulls() {
		i, err := newImage(b.file("image"), w.client.name+"/pulled", []int{s.Cell.Layer})
		return []image{i}, err
	}
	images := make([]image, s.Pushes)
	err := inParallel(len(images), w.Parallel, func(i int) (err error) {
		images[i], err = newImage(b.file(fmt.Sprintf("image-%d", i)), fmt.Sprintf("%s/c%d-p%d", w.client.name, number,
			i), layerSizes(s.Cell.Layer))
		if err == nil && w.client.load != nil {
			err = w.client.load(ctx, w.host, images[i])
		}
		return err
	})
	return images, err
}

// end is how one push or pull ended.
type end struct {
	outcome string
	detail  string // one line
	printed string // by the client
	split   bool   // it came to both ends
	// of a pull: what the replicas sent in all, as a multiple of what it has
	fetched, seconds float64
}

// scatter pushes the images while their connections are thrown about.
func (w *worker) scatter(ctx context.Context, b *bench, s step, images []image) ([]end, error) {
	ips, err := b.ends(ctx, s.Cell)
	if err != nil {
		return nil, err
	}
	slow := newPace(usualSize, flipPush)
	if err := b.route(ctx, s.Cell, ips, slow); err != nil {
		return nil, err
	}
	pushed := make([]error, len(images))
	_ = inParallel(len(images), w.Parallel, func(i int) error { // how a push ends is no error of the lab's
		if s.Cell.Mode == "flip" {
			time.Sleep(rand.N(flipEvery)) // or all pushes would begin just after a flip
		}
		slow.begin()
		defer slow.end()
		pushed[i] = w.push(ctx, images[i])
		return nil
	})
	kind, readers := "registry", []string{}
	if s.Cell.fairlead() {
		kind, readers = "gateway", ips
	}
	// Not before all have ended: crane's registry answers nobody while it takes in a blob.
	ends := make([]end, len(images))
	err = inParallel(len(images), w.Parallel, func(i int) (err error) {
		split := b.split(kind, images[i].repository)
		ends[i], err = judge(ctx, images[i], pushed[i], registryAddresses(replicas[:2]), readers)
		ends[i].split = split
		return err
	})
	return ends, err
}

func (w *worker) push(ctx context.Context, i image) error {
	line := w.client.push(w.host, i)
	return run(ctx, pushBound, line[0], line[1:]...)
}

// split: whether requests of a push came to both ends, by what those have logged.
func (b *bench) split(kind, repository string) bool {
	for _, r := range replicas[:2] {
		if !strings.Contains(contentOf(b.file(kind+"-"+r.name+".log")), "/v2/"+repository+"/") {
			return false
		}
	}
	return true
}

// judge says how a push ended, by what the client says and what the registries have. Readers, which may be none, have
// to find all of the image, too.
func judge(ctx context.Context, i image, pushed error, registries, readers []string) (end, error) {
	if pushed != nil {
		return failure(pushed), nil
	}
	owners, missing, err := audit(ctx, registries, i.repository)
	if err != nil {
		return end{}, err
	}
	for _, reader := range readers {
		lacks, err := lacks(ctx, "http://"+reader+port+"/v2/"+i.repository, imageTag)
		if err != nil || len(lacks) > 0 {
			missing = append(missing, fmt.Sprintf("%d parts cannot be read by way of %s (%v)", len(lacks), reader, err))
		}
	}
	switch {
	case len(missing) > 0:
		return end{outcome: damaged, detail: strings.Join(missing, "; ")}, nil
	case len(owners) == 0:
		return end{outcome: damaged, detail: "no registry has the tag"}, nil
	}
	return end{outcome: ok}, nil
}

func failure(err error) end {
	e := end{outcome: failed, detail: lastLine(err.Error()), printed: err.Error()}
	if errors.Is(err, errHung) {
		e.outcome = hung
	}
	return e
}

// keep saves what may explain what went wrong: all logs and files, and what the clients printed.
func (w *worker) keep(b *bench, s step, images []image, ends []end) error {
	dir := filepath.Join(w.Keep, strings.ReplaceAll(s.Cell.String(), " ", "_"))
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var said strings.Builder
	for i, e := range ends {
		if e.outcome != ok {
			fmt.Fprintf(&said, "--- %s %s %s\n%s\n", images[min(i, len(images)-1)].repository, e.outcome, e.detail, e.printed)
		}
	}
	files := map[string]string{"pushes.txt": said.String()}
	for _, pattern := range []string{home + "/*.log", b.dir + "/*.log", b.dir + "/*.yaml", b.dir + "/round-*/*.log"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, name := range names {
			inside := strings.TrimPrefix(strings.TrimPrefix(name, b.dir+"/"), home+"/")
			files[strings.ReplaceAll(inside, "/", "_")] = contentOf(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// inParallel calls do for 0 to n-1, width at a time.
func inParallel(n, width int, do func(i int) error) error {
	turns, errs := make(chan int), make([]error, n)
	var all sync.WaitGroup
	for range min(max(width, 1), n) {
		all.Go(func() {
			for i := range turns {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		turns <- i
	}
	close(turns)
	all.Wait()
	return errors.Join(errs...)
}
