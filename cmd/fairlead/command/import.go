package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/auth"
	"github.com/fairlead-gateway/fairlead/transfer/graph"
)

// importing is one `fairlead import`.
type importing struct {
	asking
	source   string
	images   []string
	force    bool
	username string
	password string
	config   string
	gateway  string
}

func importCommand() *cobra.Command {
	i := importing{asking: asking{output: output{lines: true}}}
	cmd := &cobra.Command{
		Use:   "import (SOURCE | --source SOURCE) [TARGET | --image TARGET]...",
		Short: "copy an image from any registry into the fleet",
		Long: `Copy an image with all that belongs to it (children of an index, referrers, cosign's signatures) from
any registry, through a gateway's clients' listener. SOURCE is HOST/REPOSITORY:TAG or @DIGEST; a
registry on this machine is asked in clear text unless it is https://…, others are if they are
http://…. A TARGET is REPOSITORY:TAG, with or without the fleet's hostname before it; without one it
is the source's repository and tag. A tag that names something else is not moved without --force.
What is there already is not copied again: an import that was interrupted goes on when it is repeated.

The source is shown --username and --password, which others on this machine can see, or what docker
has logged in with; the gateway what docker has logged in with at the fleet's hostname.

  exit code 0  it is there
  exit code 1  it is not: a tag names something else, or copying failed
  exit code 2  called wrongly, or no gateway answers`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if i.source == "" && len(args) > 0 {
				i.source, args = args[0], args[1:]
			}
			i.images = append(i.images, args...)
			return i.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	i.flags(cmd.Flags())
	acceptIdle(cmd, "name", "resource-group", "subscription", "no-wait")
	f := cmd.Flags()
	f.StringVar(&i.source, "source", "", "the image to copy")
	f.StringArrayVarP(&i.images, "image", "t", nil, "what to call it here; may be repeated")
	f.BoolVar(&i.force, "force", false, "move tags that name something else")
	f.StringVarP(&i.username, "username", "u", "", "at the source")
	f.StringVarP(&i.password, "password", "p", "", "at the source")
	f.StringVar(&i.config, "config", "", "docker's config.json (default in $DOCKER_CONFIG, else ~/.docker)")
	f.StringVar(&i.gateway, "gateway", "", "URL of the gateway's clients' listener (default: the admin listener tells)")
	usageIsTwo(cmd)
	return cmd
}

func (i *importing) run(ctx context.Context, out io.Writer) error {
	if err := i.check(); err != nil {
		return usage(err)
	}
	from, ref, err := i.from()
	if err != nil {
		return usage(err)
	}
	to, hosts, err := i.to(ctx)
	if err != nil {
		return usage(err)
	}
	targets, err := targetsOf(i.images, ref, hosts)
	if err != nil {
		return usage(err)
	}
	for _, t := range targets {
		c := graph.New(from, to.Repository(t.repository), i.force)
		if err := i.copy(ctx, c, ref, t, out); err != nil {
			return err
		}
	}
	return nil
}

// target is a repository with the tags that it is to get.
type target struct {
	repository string
	tags       []string
}

// targetsOf reads what the image is to be called: by repository, in the order in which they were written.
func targetsOf(images []string, source reference, hosts []string) (targets []target, err error) {
	if len(images) == 0 {
		images = []string{source.String()}
	}
	for _, text := range images {
		ref, err := parseReference(text)
		switch {
		case err != nil:
			return nil, err
		case ref.isDigest():
			return nil, fmt.Errorf("%s: what is imported gets a tag", text)
		case ref.host != "" && !slices.Contains(hosts, ref.host):
			return nil, fmt.Errorf("%s: this fleet is %s", text, strings.Join(hosts, " or "))
		}
		at := slices.IndexFunc(targets, func(t target) bool { return t.repository == ref.repository })
		if at < 0 {
			at, targets = len(targets), append(targets, target{repository: ref.repository})
		}
		if !slices.Contains(targets[at].tags, ref.name) {
			targets[at].tags = append(targets[at].tags, ref.name)
		}
	}
	return targets, nil
}

// from is the source, and what is asked of it.
func (i *importing) from() (transfer.Repository, reference, error) {
	scheme, rest, given := strings.Cut(i.source, "://")
	if !given {
		scheme, rest = "", i.source
	}
	ref, err := parseReference(rest)
	switch {
	case i.source == "":
		return transfer.Repository{}, ref, errors.New("import what? SOURCE is HOST/REPOSITORY:TAG")
	case err != nil:
		return transfer.Repository{}, ref, err
	case ref.host == "" || given && scheme != "http" && scheme != "https":
		return transfer.Repository{}, ref, fmt.Errorf("%s: from which registry? HOST/REPOSITORY:TAG", i.source)
	case (i.username == "") != (i.password == ""):
		return transfer.Repository{}, ref, errors.New("--username and --password go together")
	}
	at := &url.URL{Scheme: cmp.Or(scheme, schemeOf(ref.host)), Host: ref.host}
	if at.Host == "docker.io" {
		at.Host = "registry-1.docker.io"
	}
	login := auth.DockerLogin(dockerConfig(i.config), at.Host)
	if i.username != "" {
		login = auth.Password(i.username, i.password)
	}
	return registryAt("source", at, "", login).Repository(ref.repository), ref, nil
}

// to is the gateway, and the names that the fleet goes by.
func (i *importing) to(ctx context.Context) (to transfer.Replica, hosts []string, err error) {
	name, address := "", i.gateway
	if address == "" {
		var fleet admin.Fleet
		if err := askAdmin(ctx, i.at, "/fleet", &fleet); err != nil {
			return to, nil, err
		}
		name, address = fleet.Hostname, fleet.Gateway
		hosts = append(hosts, name)
	}
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || strings.Trim(at.Path, "/") != "" {
		return to, nil, fmt.Errorf("--gateway %s: http://HOST:PORT or https://HOST", address)
	}
	hosts = append(hosts, at.Host)
	login := auth.DockerLogin(dockerConfig(i.config), hosts...)
	return registryAt("target", &url.URL{Scheme: at.Scheme, Host: at.Host}, name, login), hosts, nil
}

// importLine is a line of `fairlead import -o json`: a promise to scripts.
type importLine struct {
	Time       time.Time `json:"time"`
	Result     string    `json:"result"` // copying, or of the last line of a target imported, conflict or failed
	Source     string    `json:"source"`
	Repository string    `json:"repository"`
	Tags       []string  `json:"tags"`
	Digest     string    `json:"digest"` // "" until it is imported
	Error      string    `json:"error"`
	graph.Progress
}

// drawEvery is how often people, and pipelines, see how far it is.
const (
	drawEvery = 200 * time.Millisecond
	lineEvery = time.Second
)

func (i *importing) copy(ctx context.Context, c *graph.Copy, ref reference, t target, out io.Writer) error {
	line := importLine{Result: "copying", Source: ref.host + "/" + ref.String(), Repository: t.repository, Tags: t.tags}
	screen, every := newScreen(out), drawEvery
	if i.format == "json" {
		screen, every = nil, lineEvery
	}
	type ended struct {
		digest string
		err    error
	}
	done := make(chan ended, 1)
	go func() {
		digest, err := c.Run(ctx, ref.name, t.tags)
		done <- ended{digest, err}
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for began := time.Now(); ; {
		select {
		case <-tick.C:
			if screen == nil {
				line.print(out, c.Progress())
			} else {
				screen.draw(bar(t.repository, c.Progress(), time.Since(began)))
			}
		case end := <-done:
			return line.end(out, screen, end.digest, end.err, c.Progress())
		}
	}
}

// end says the last word; without a screen in JSON.
func (l importLine) end(out io.Writer, screen *screen, digest string, err error, p graph.Progress) error {
	l.Digest = digest
	l.Result = "imported"
	if err != nil {
		l.Result, l.Error = "failed", err.Error()
	}
	if errors.As(err, new(*graph.ConflictError)) {
		l.Result = "conflict"
		err = fmt.Errorf("%s: %w: --force moves it", l.Repository, err)
	}
	if errors.As(err, new(*graph.UnseenError)) {
		err = fmt.Errorf("%s: %w: --force puts it, and moves it if it does", l.Repository, err)
	}
	switch {
	case screen == nil:
		l.print(out, p)
	case err == nil:
		screen.draw()
		fmt.Fprintf(out, "%s as %s:%s: %s, %s moved, %d of %d blobs were there\n",
			l.Source, l.Repository, strings.Join(l.Tags, ","), l.Digest, inBytes(p.Moved), p.Found, p.Known)
	}
	return err
}

func (l importLine) print(w io.Writer, p graph.Progress) {
	l.Time, l.Progress = time.Now().UTC(), p
	_ = json.NewEncoder(w).Encode(l) // whoever reads may have gone; the exit code says it as well
}

const barWidth = 20

// bar is one line about how far a copy is.
func bar(name string, p graph.Progress, took time.Duration) string {
	fraction := 0.0
	if p.Of > 0 {
		fraction = float64(p.Bytes) / float64(p.Of)
	}
	full := int(fraction * barWidth)
	rate := int64(float64(p.Moved) / max(took.Seconds(), 0.001))
	return fmt.Sprintf("%s [%s%s] %3.0f %% of %s, %s/s, %d of %d blobs",
		name, strings.Repeat("#", full), strings.Repeat("-", barWidth-full),
		100*fraction, inBytes(p.Of), inBytes(rate), p.Blobs, p.Known)
}
