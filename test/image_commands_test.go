package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shown is what `fairlead image show -o json` prints.
type shown struct {
	Digest     string
	MediaType  string `json:"media_type"`
	Size       int64
	Deleted    bool
	AcceptedBy string `json:"accepted_by"`
	Gateway    string
	Replicas   []shownPlace
	Children   []struct {
		Digest   string
		Known    bool
		Replicas []shownPlace
	}
}

type shownPlace struct {
	Replica, State, Reason string
	Tries                  int
	GivenUp                bool `json:"given_up"`
}

// states are as "there pending there": eastus, westeurope, westus.
func states(places []shownPlace) string {
	var all []string
	for _, p := range places {
		all = append(all, p.State)
	}
	return strings.Join(all, " ")
}

// asks runs a command that talks to the gateway.
func (g *gateway) asks(t testing.TB, args ...string) (out string, code int) {
	t.Helper()
	return fairlead(t, append(args, "--admin", "http://"+g.admin)...)
}

// asksJSON runs one that must succeed.
func (g *gateway) asksJSON(t testing.TB, into any, args ...string) {
	t.Helper()
	out, code := g.asks(t, append(args, "-o", "json")...)
	if code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, out)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func (g *gateway) shows(t testing.TB, ref string) (i shown) {
	t.Helper()
	g.asksJSON(t, &i, "image", "show", ref)
	return i
}

// TestWait: a pipeline goes on when an image is where it is wanted, and not before.
func TestWait(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, distributionKind, splitReplicas)
	gateways := startCluster(t, registries, func(_ int, f *file) {
		f.state, f.health, f.replication = t.TempDir(), "{interval: 1s, timeout: 1s, fronts: false}", copyAll
	})
	g, client := gateways[0], newRegional(t, 1, gateways[0])
	exits := func(want int, args ...string) {
		t.Helper()
		if out, code := g.asks(t, args...); code != want {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, want, out)
		}
	}
	exits(1, "image", "show", "app:v1")
	exits(1, "wait", "app:v1", "--timeout", "1s")
	for _, args := range [][]string{
		{"wait"}, {"wait", "App"}, {"wait", "app:v1", "--replicas", "nowhere"}, {"wait", "app:v1", "--replicas", "4"},
		{"wait", "app:v1", "--colour"},
		{"wait", "app:v1", "--timeout", "soon"}, {"wait", "app:v1", "-o", "xml"}, {"wait", "app:v1", "app:v2"},
	} {
		exits(2, args...)
	}
	if out, code := fairlead(t, "wait", "app:v1", "--admin", "http://"+freeAddress(t, "127.0.0.1")); code != 2 {
		t.Errorf("without a gateway: exit code %d: %s", code, out)
	}

	away := registries[2]
	away.kill()
	for _, g := range gateways {
		waitFor(t, startBound, "the probes", func() error {
			if down := g.down(t); !slices.Equal(down, []string{away.name}) {
				return fmt.Errorf("%v down", down)
			}
			return nil
		})
	}
	of, err := client.push(t, "app", "v1", nil)
	must(t, err)
	exits(0, "wait", "app:v1", "--replicas", "2", "--timeout", "1m")
	exits(0, "wait", hostname+"/app:v1", "--replicas", "westus,eastus", "--timeout", "0s")
	exits(1, "wait", "app:v1", "--timeout", "1s")
	exits(1, "wait", "app@"+of.Digest, "--replicas", "westeurope", "--timeout", "0s")
	if i := g.shows(t, "app:v1"); states(i.Replicas) != "there pending there" || i.Replicas[1].Reason != "it is down" ||
		i.Digest != of.Digest ||
		i.MediaType != of.MediaType || i.Size != of.Size || i.AcceptedBy != "westus" || i.Gateway != "gw-westus" {
		t.Errorf("%+v", i)
	}

	// A script waits, while its gateway is killed and comes again, and the replica comes back.
	script := fmt.Sprintf("%s wait app:v1 --timeout 2m --admin http://%s -o json && echo ok", built(t, fairleadProgram),
		g.admin)
	waits := start(t, "script", nil, "sh", "-c", script)
	waitFor(t, startBound, "the script to have asked", func() error {
		if !strings.Contains(waits.output(), `"result":"waiting"`) {
			return fmt.Errorf("%q", waits.output())
		}
		return nil
	})
	g.kill()
	g.restart()
	if waits.ended() {
		t.Errorf("it did not wait: %s", waits.output())
	}
	away.restart()
	waitFor(t, startBound, "the script", func() error {
		if !waits.ended() {
			return fmt.Errorf("it waits: %s", waits.output())
		}
		return nil
	})
	lines := strings.Split(strings.TrimSpace(waits.output()), "\n")
	var last struct {
		Result    string
		There, Of int
		Image     shown
	}
	if len(lines) < 3 || lines[len(lines)-1] != "ok" || json.Unmarshal([]byte(lines[len(lines)-2]), &last) != nil ||
		last.Result != "there" || last.There != 3 || last.Of != 3 ||
		states(last.Image.Replicas) != "there there there" {
		t.Errorf("%q", lines)
	}

	arm, err := client.push(t, "app", "arm64", nil)
	must(t, err)
	index := encode(t, map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []descriptor{of, arm}})
	_, err = client.send(http.MethodPut, "/v2/app/manifests/all", typeIndex, index, http.StatusCreated)
	must(t, err)
	out, code := gateways[1].asks(t, "wait", "app:all", "--timeout", "1m")
	if code != 0 || !strings.Contains(out, "on 3 of 3") || strings.Contains(out, "\x1b") {
		t.Errorf("exit code %d: %q", code, out)
	}
	exits(0, "wait", "app@"+arm.Digest, "--timeout", "1m")
	i := gateways[1].shows(t, "app:all")
	if len(i.Children) != 2 || i.Children[0].Digest != of.Digest ||
		states(i.Children[1].Replicas) != "there there there" {
		t.Errorf("%+v", i)
	}
	if out, code := g.asks(t, "image", "show", "app:all"); code != 0 || !strings.Contains(out, arm.Digest) ||
		!strings.Contains(out, "westeurope") {
		t.Errorf("exit code %d: %s", code, out)
	}

	_, err = client.send(http.MethodDelete, "/v2/app/manifests/"+digestOf(index), "", nil, http.StatusAccepted)
	must(t, err)
	exits(1, "wait", "app:all", "--timeout", "0s")
	if i := g.shows(t, "app@"+digestOf(index)); !i.Deleted {
		t.Errorf("%+v", i)
	}

	var status struct {
		Replicas []struct {
			Replica, State string
			Served         string `json:"served_by"`
			Detail         *struct {
				GivenUp int `json:"given_up"`
			}
		}
	}
	g.asksJSON(t, &status, "replication", "status")
	for _, r := range status.Replicas {
		if r.Served != "gw-"+r.Replica || (r.Detail != nil) != (r.Replica == "westus") {
			t.Errorf("%+v", r)
		}
	}
	if len(status.Replicas) != len(splitReplicas) {
		t.Errorf("%+v", status)
	}
}

// TestFailures: what cannot be brought is shown with its reason, and tried again when somebody says so.
func TestFailures(t *testing.T) {
	t.Parallel()
	replicas := splitReplicas[:2]
	registries := []*registry{distributionKind.start(t, "westus", freeAddress(t, "127.0.0.1")),
		startLocked(t, "eastus")}
	g := startGateway(t, "gateway", "127.0.0.1", file{
		health: "{fronts: false}", networks: splitNetworks, replicas: withUpstreams(replicas, registries),
		replication: copyAll,
	})
	of, err := newRegional(t, 1, g).push(t, "app", "v1", nil)
	must(t, err)
	type failure struct {
		Replica, Action, Repository, Digest, Reason string
		Tags                                        []string
		Tries                                       int
	}
	var failures []failure
	waitFor(t, startBound, "a failure", func() error {
		if g.asksJSON(t, &failures, "replication", "failures"); len(failures) != 1 {
			return fmt.Errorf("%+v", failures)
		}
		return nil
	})
	if l := failures[0]; l.Replica != "eastus" || l.Action != "copy" || l.Repository != "app" ||
		l.Digest != of.Digest || !slices.Equal(l.Tags, []string{"v1"}) ||
		!strings.Contains(l.Reason, "401") || l.Tries < 1 {
		t.Errorf("%+v", l)
	}
	if i := g.shows(t, "app:v1"); states(i.Replicas) != "failed there" || !strings.Contains(i.Replicas[0].Reason,
		"401") || i.Replicas[0].Tries < 1 {
		t.Errorf("%+v", i)
	}
	if out, code := g.asks(t, "wait", "app:v1", "--timeout", "0s"); code != 1 ||
		!strings.Contains(out, "eastus failed") {
		t.Errorf("exit code %d: %s", code, out)
	}
	for args, want := range map[string]int{"": 1, "app:v1": 1, "--replica=eastus app@" + of.Digest: 1,
		"--replica=westus": 0, "app:v2": 0, "other:v1": 0} {
		var retried struct{ Count int }
		if g.asksJSON(t, &retried, append([]string{"replication", "retry"},
			strings.Fields(args)...)...); retried.Count != want {
			t.Errorf("retry %s: %d, not %d", args, retried.Count, want)
		}
	}
	if out, code := g.asks(t, "replication", "failures"); code != 0 || !strings.Contains(out, of.Digest) {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := g.asks(t, "replication", "status"); code != 0 || !strings.Contains(out, "eastus") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// TestConflictsShown: two gateways that did not know of each other wrote one tag. When they meet, both digests are
// shown.
func TestConflictsShown(t *testing.T) {
	t.Parallel()
	replicas := splitReplicas[:2]
	var registries []*registry
	for _, r := range replicas {
		registries = append(registries, distributionKind.start(t, r.name, freeAddress(t, "127.0.0.1")))
	}
	var files []file
	for _, r := range replicas {
		files = append(files, file{
			here: r.name, state: t.TempDir(), health: "{fronts: false}", networks: splitNetworks,
			replicas: withUpstreams(replicas, registries),
			cluster:  freeAddress(t, "127.0.0.1"), replication: copyAll,
		})
	}
	peers := fmt.Sprintf("%q, %q", files[0].cluster, files[1].cluster)
	begin := func(f file, peers string) *gateway {
		f.cluster = fmt.Sprintf("{listen: %q, peers: [%s], name: gw-%s}", f.cluster, peers, f.here)
		return startGateway(t, "gateway-"+f.here, "127.0.0.1", f)
	}
	var pushed []string
	for i, f := range files {
		g := begin(f, fmt.Sprintf("%q", freeAddress(t, "127.0.0.1"))) // where nobody is
		config := fmt.Sprintf(`{"author":%q}`, f.here)
		must(t, registries[i].putBlob("app", []byte(config)))
		manifest := encode(t, document{SchemaVersion: 2, MediaType: typeManifest,
			Config: &descriptor{MediaType: typeConfig, Digest: digestOf([]byte(config)), Size: int64(len(config))},
			Layers: []descriptor{}})
		_, err := newRegional(t, i+1, g).send(http.MethodPut, "/v2/app/manifests/v1", typeManifest, manifest,
			http.StatusCreated)
		must(t, err)
		pushed = append(pushed, digestOf(manifest))
		g.kill()
	}
	var conflicts struct {
		Total     int
		Conflicts []struct {
			Repository, Tag string
			Winner, Loser   struct{ Digest, Replica, Gateway string }
		}
	}
	gateways := []*gateway{begin(files[0], peers), begin(files[1], peers)}
	waitFor(t, startBound, "the conflict", func() error {
		if gateways[0].asksJSON(t, &conflicts, "replication", "conflicts"); conflicts.Total != 1 ||
			len(conflicts.Conflicts) != 1 {
			return fmt.Errorf("%+v", conflicts)
		}
		return nil
	})
	if c := conflicts.Conflicts[0]; c.Repository != "app" || c.Tag != "v1" || c.Loser.Digest != pushed[0] ||
		c.Winner.Digest != pushed[1] || c.Winner.Gateway != "gw-eastus" {
		t.Errorf("%+v", c)
	}
	for _, g := range gateways {
		if out, code := g.asks(t, "wait", "app:v1", "--timeout", "1m"); code != 0 || !strings.Contains(out, pushed[1]) {
			t.Errorf("exit code %d: %s", code, out)
		}
	}
}

// TestImport: from a registry that wants a password, with what refers to the image.
func TestImport(t *testing.T) {
	t.Parallel()
	source := startLocked(t, "source")
	registries := startRegistries(t, distributionKind, splitReplicas)
	g := startCluster(t, registries, func(_ int, f *file) { f.replication = copyAll })[1]
	put := func(path, mediaType string, content []byte) {
		t.Helper()
		must(t, source.putAs("user", "password", path, mediaType, content))
	}
	newest := func(repository, name string) (descriptor, []byte) {
		t.Helper()
		config := []byte(fmt.Sprintf(`{"architecture":%q}`, name))
		must(t, source.blobAs("user", "password", repository, config))
		manifest := encode(t, document{SchemaVersion: 2, MediaType: typeManifest,
			Config: &descriptor{MediaType: typeConfig, Digest: digestOf(config), Size: int64(len(config))},
			Layers: []descriptor{}})
		put("/v2/"+repository+"/manifests/"+digestOf(manifest), typeManifest, manifest)
		return descriptor{MediaType: typeManifest, Digest: digestOf(manifest), Size: int64(len(manifest))}, manifest
	}
	amd, _ := newest("team/old", "amd64")
	arm, _ := newest("team/old", "arm64")
	index := encode(t, map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []descriptor{amd, arm}})
	put("/v2/team/old/manifests/v1", typeIndex, index)
	sbomOf, sbom := newest("team/old", "an sbom")
	sbom = append(sbom[:len(sbom)-1:len(sbom)-1],
		fmt.Sprintf(`,"artifactType":"application/vnd.example.sbom","subject":{"mediaType":%q,"digest":%q,"size":%d}}`,
			typeIndex, digestOf(index), len(index))...)
	sbomOf.Digest, sbomOf.Size = digestOf(sbom), int64(len(sbom))
	put("/v2/team/old/manifests/"+sbomOf.Digest, typeManifest, sbom)
	byTag := strings.Replace(digestOf(index), ":", "-", 1) // the source has no list of referrers
	put("/v2/team/old/manifests/"+byTag, typeIndex, encode(t,
		map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []descriptor{sbomOf}}))

	from := source.address + "/team/old:v1"
	imports := func(want int, env []string, args ...string) string {
		t.Helper()
		out, code := runs(t, env, append([]string{"import", "--admin", "http://" + g.admin}, args...)...)
		if code != want {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, want, out)
		}
		return out
	}
	nobody := []string{"DOCKER_CONFIG=" + t.TempDir()}
	imports(2, nobody)
	imports(2, nobody, "team/old:v1")
	imports(2, nobody, from, "elsewhere.example.test/app:v1")
	imports(2, nobody, from, "app:v1", "--gateway", "nowhere")
	imports(1, nobody, from, "app:v1")
	password := []string{"--username", "user", "--password", "password"}
	out := imports(0, nobody, append(password, "--source", from, "--image", "new/app:v1", "--image",
		hostname+"/new/app:stable")...)
	if !strings.Contains(out, digestOf(index)) || strings.Contains(out, "\x1b") || strings.Contains(out, "password") {
		t.Errorf("it says %q", out)
	}
	for _, tag := range []string{"v1", "stable", byTag} {
		if out, code := g.asks(t, "wait", "new/app:"+tag, "--timeout", "1m"); code != 0 {
			t.Errorf("exit code %d: %s", code, out)
		}
		for _, r := range registries {
			if _, err := pulled(r.url(), "new/app", tag); err != nil {
				t.Errorf("%s at %s: %v", tag, r.name, err)
			}
		}
	}

	var line struct {
		Result, Digest string
		Moved          int64
		Known, Found   int
	}
	login := filepath.Join(t.TempDir(), "config.json")
	writeFile(t, login, fmt.Sprintf(`{"auths":{%q:{"auth":"dXNlcjpwYXNzd29yZA=="}}}`, source.address))
	out = imports(0, []string{"DOCKER_CONFIG=" + filepath.Dir(login)}, from, "new/app:v1", "-o", "json")
	if err := json.Unmarshal([]byte(lastLine(out)), &line); err != nil || line.Result != "imported" ||
		line.Digest != digestOf(index) || line.Moved != 0 || line.Known != 3 || line.Found != 3 {
		t.Errorf("again: %v %s", err, out)
	}

	other, manifest := newest("team/other", "another")
	put("/v2/team/other/manifests/v1", typeManifest, manifest)
	from = source.address + "/team/other:v1"
	if out := imports(1, nobody, append(password, from, "new/app:v1")...); !strings.Contains(out, "--force") ||
		!strings.Contains(out, digestOf(index)) {
		t.Errorf("it says %q", out)
	}
	if i := g.shows(t, "new/app:v1"); i.Digest != digestOf(index) {
		t.Errorf("the tag was moved to %s", i.Digest)
	}
	imports(0, nobody, append(password, from, "new/app:v1", "--force", "--gateway", g.url(), "--config", login)...)
	if i := g.shows(t, "new/app:v1"); i.Digest != other.Digest {
		t.Errorf("the tag names %s", i.Digest)
	}
}

// TestEgress: what left which replica through a gateway, to the byte.
func TestEgress(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, distributionKind, splitReplicas)
	gateways := startCluster(t, registries, func(_ int, f *file) { f.replication = copyAll })
	g := gateways[0] // beside westus
	content := map[string][]byte{}
	for i, r := range registries[:2] {
		content[r.name] = encode(t, strings.Repeat(r.name, 10_000+i))
		must(t, r.putBlob("app", content[r.name]))
	}
	pull := func(region int, of string) int64 {
		t.Helper()
		response, err := newRegional(t, region, g).http.Get(g.url() + "/v2/app/blobs/" + digestOf(content[of]))
		must(t, err)
		defer response.Body.Close()
		var n int64
		buf := make([]byte, 32<<10)
		for err == nil {
			var got int
			got, err = response.Body.Read(buf)
			n += int64(got)
		}
		if response.StatusCode != http.StatusOK || n != int64(len(content[of])) {
			t.Fatalf("%d, %d bytes", response.StatusCode, n)
		}
		return n
	}
	near := pull(1, "westus")       // whose nearest westus is
	far := pull(2, "westus")        // whose nearest eastus is
	remote := pull(1, "eastus")     // which westus does not have
	remoteNear := pull(2, "eastus") // and eastus is the nearest of this one
	type egress struct {
		Here  string
		Flows []struct {
			Replica, Path, To      string
			Local, Remote, Nearest int64
		}
		Total       struct{ Local, Remote int64 }
		RemoteShare float64 `json:"remote_share"`
	}
	var e egress
	g.asksJSON(t, &e, "egress")
	if len(e.Flows) != 2 || e.Here != "westus" || e.Total.Local != near+far || e.Total.Remote != remote+remoteNear {
		t.Fatalf("%+v", e)
	}
	for _, f := range e.Flows {
		local, far, nearest := near+far, int64(0), near
		if f.Replica == "eastus" {
			local, far, nearest = 0, remote+remoteNear, remoteNear
		}
		if f.Path != "pull" || f.Local != local || f.Remote != far || f.Nearest != nearest {
			t.Errorf("%+v", f)
		}
	}
	if got := g.metric(t, "fairlead_egress_bytes_total", `replica="westus"`, `scope="local"`,
		`nearest="true"`); got != float64(near) {
		t.Errorf("%v", got)
	}
	if out, code := g.asks(t, "egress"); code != 0 || !strings.Contains(out, "remote: 50.0 %") {
		t.Errorf("exit code %d: %s", code, out)
	}

	img := newImage(t, "amd64")
	must(t, cranePush(t, img, g.listen+"/pushed:v1"))
	if out, code := g.asks(t, "wait", "pushed:v1", "--timeout", "1m"); code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	size := int64(0)
	for _, b := range img.doc.blobs() {
		size += b.Size
	}
	for i, g := range gateways[1:] {
		var e egress
		g.asksJSON(t, &e, "egress")
		moved := int64(0)
		for _, f := range e.Flows {
			if f.Path == "replication" && f.To == splitReplicas[i+1].name && f.Local == 0 {
				moved += f.Remote
			}
		}
		// Beside the blobs there are a manifest and a list of referrers.
		if moved < size || moved > size+size/50+10_000 {
			t.Errorf("%s: %d bytes of %d were replicated: %+v", g.name, moved, size, e.Flows)
		}
	}
}

// runs is fairlead with an environment.
func runs(t testing.TB, env []string, args ...string) (out string, code int) {
	t.Helper()
	p := start(t, "fairlead", append(env, "GORACE=atexit_sleep_ms=0"), built(t, fairleadProgram), args...)
	select {
	case <-p.done:
	case <-time.After(patient(commandBound)):
		t.Fatalf("%v hangs: %s", args, p.output())
	}
	return p.output(), p.cmd.ProcessState.ExitCode()
}

// putAs and blobAs store something at a registry that wants a password.
func (r *registry) putAs(user, password, path, mediaType string, content []byte) error {
	request, err := http.NewRequest(http.MethodPut, r.url()+path, strings.NewReader(string(content)))
	if err != nil {
		return err
	}
	request.SetBasicAuth(user, password)
	request.Header.Set("Content-Type", mediaType)
	response, err := plain.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("PUT %s: status %d", path, response.StatusCode)
	}
	return nil
}

func (r *registry) blobAs(user, password, repository string, content []byte) error {
	request, err := http.NewRequest(http.MethodPost, r.url()+"/v2/"+repository+"/blobs/uploads/", nil)
	if err != nil {
		return err
	}
	request.SetBasicAuth(user, password)
	response, err := plain.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	to, err := response.Location()
	if err != nil {
		return err
	}
	query := to.Query()
	query.Set("digest", digestOf(content))
	return r.putAs(user, password, to.Path+"?"+query.Encode(), "application/octet-stream", content)
}
