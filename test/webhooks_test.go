package test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	typeChart     = "application/vnd.cncf.helm.config.v1+json"
	webhookSecret = "0123456789abcdef"
)

// received is what a receiver was sent.
type received struct {
	ID, Timestamp, Action string
	Request               struct{ ID string }
	Target                struct{ Repository string }

	body string
}

// receiver is one of webhooks, on loopback.
type receiver struct {
	*testing.T
	address string
	answer  http.HandlerFunc

	mu   sync.Mutex
	list []received // guarded by mu
}

// newReceiver listens from open on.
func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	return &receiver{T: t, address: freeAddress(t, "127.0.0.1"), answer: answer}
}

func (r *receiver) open() *receiver {
	r.Helper()
	l, err := net.Listen("tcp", r.address)
	must(r, err)
	server := &http.Server{Handler: http.HandlerFunc(r.take), ReadHeaderTimeout: time.Minute, ErrorLog: silent}
	go func() { _ = server.Serve(l) }()
	r.Cleanup(func() { _ = server.Close() })
	return r
}

// take checks all that is the same for every event.
func (r *receiver) take(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	got := received{body: string(body)}
	if err = errors.Join(err, json.Unmarshal(body, &got)); err != nil {
		r.Errorf("%v: %s", err, body)
	}
	if !signed(q.Header.Get("Fairlead-Signature"), body) || q.Header.Get("Fairlead-Delivery") != got.ID ||
		q.Header.Get("X-Team") != "red" || q.Method != http.MethodPost {
		r.Errorf("%s %v", q.Method, q.Header)
	}
	r.mu.Lock()
	r.list = append(r.list, got)
	r.mu.Unlock()
	r.answer(w, q)
}

// signed verifies as docs/webhooks.md says.
func signed(header string, body []byte) bool {
	parts := regexp.MustCompile(`^t=(\d+),v1=([0-9a-f]{64})$`).FindStringSubmatch(header)
	if parts == nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write([]byte(parts[1] + "." + string(body)))
	return hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(parts[2]))
}

// events has each event once, with how often it came.
func (r *receiver) events() (times map[string]int, all []received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	times = map[string]int{}
	for _, got := range r.list {
		if times[got.ID]++; times[got.ID] == 1 {
			all = append(all, got)
		}
	}
	return times, all
}

func (r *receiver) ids() []string {
	times, _ := r.events()
	return slices.Sorted(maps.Keys(times))
}

// waitFor waits for so many events of a repository, and returns them.
func (r *receiver) waitFor(what string, repository string, want int) (list []received) {
	r.Helper()
	waitFor(r, startBound, what, func() error {
		_, all := r.events()
		list = slices.DeleteFunc(all, func(got received) bool { return got.Target.Repository != repository })
		if len(list) < want {
			return fmt.Errorf("%d events of %d: %v", len(list), want, list)
		}
		return nil
	})
	return list
}

func (r *receiver) waitForAll(of *receiver) {
	r.Helper()
	waitFor(r, 2*startBound, "all events", func() error {
		if got, want := r.ids(), of.ids(); !slices.Equal(got, want) {
			return fmt.Errorf("%d events of %d", len(got), len(want))
		}
		return nil
	})
}

// hook is a line of the file.
func (r *receiver) hook(name, more string) string {
	return fmt.Sprintf("  - {name: %s, uri: \"http://%s/in\", actions: [push, delete, chart_push, chart_delete, replicated], secret: %q, headers: {X-Team: red}%s}\n",
		name, r.address, webhookSecret, more)
}

func fine(http.ResponseWriter, *http.Request) {}

// TestWebhooks: three gateways and receivers of every kind. Each has what happened, once for each region that came to
// have it and once for all; nobody waits for another's receiver, and nothing is lost on those that fail.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, distributionKind, splitReplicas)
	good, east := newReceiver(t, fine).open(), newReceiver(t, fine).open()
	trap := newReceiver(t, fine).open()
	redirecting := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, "http://"+trap.address, http.StatusFound)
	}).open()
	release := make(chan bool)
	slow := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-release }).open()
	var mu sync.Mutex
	refused := map[string]bool{} // guarded by mu
	wrong := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if id := q.Header.Get("Fairlead-Delivery"); !refused[id] {
			refused[id] = true
			w.WriteHeader(http.StatusInternalServerError)
		}
	}).open()
	dead := newReceiver(t, fine)
	gateways := startCluster(t, registries, func(_ int, f *file) {
		f.state, f.replication = t.TempDir(), "{concurrency: 4}"
		f.webhooks = "webhooks_private: true\nwebhooks:\n" + good.hook("good1", "") +
			east.hook("east1", ", location: eastus, scope: \"app:*\"") +
			redirecting.hook("redirecting", "") + slow.hook("slow1", "") + wrong.hook("wrong", "") +
			dead.hook("dead1", "")
	})
	c := newRegional(t, 1, gateways[0])

	image, err := c.push(t, "app", "v1", nil)
	must(t, err)
	list := good.waitFor("an image everywhere", "app", 4)
	client := fmt.Sprintf(`"host":%q,"method":"PUT","useragent":"Go-http-client/1.1"`, gateways[0].listen)
	gatewayPuts := regexp.QuoteMeta(`"host":"`+hostname+`","method":"PUT","useragent":"fairlead/`) + `[^"]+"`
	target := fmt.Sprintf(`{"mediaType":%q,"size":%d,"digest":%q,"length":%d,"repository":"app","tag":"v1"}`,
		image.MediaType, image.Size, image.Digest, image.Size)
	expect(t, list, map[string]int{
		`"action":"push","target":` + regexp.QuoteMeta(target) + `,"request":\{"id":"ID",` + regexp.QuoteMeta(client) +
			`\}`: 1,
		`"action":"push","target":` + regexp.QuoteMeta(target) + `,"request":\{"id":"ID",` + gatewayPuts +
			`\}`: 2,
		`"action":"replicated","target":` + regexp.QuoteMeta(target) + `,"request":\{"id":"ID",` +
			regexp.QuoteMeta(client) + `\}`: 1,
	})
	if got := east.waitFor("what happened in one region", "app", 2); len(got) != 2 {
		t.Errorf("%v", got)
	}

	chart := c.pushChart(t, "charts/app", "1.0.0_a")
	list = good.waitFor("a chart everywhere", "charts/app", 4)
	target = fmt.Sprintf(`{"mediaType":%q,"size":%d,"digest":%q,"repository":"charts/app","tag":"1.0.0_a","name":"app","version":"1.0.0+a"}`, chart.MediaType, chart.Size, chart.Digest)
	expect(t, list, map[string]int{`"action":"chart_push","target":` + regexp.QuoteMeta(target): 3,
		`"action":"replicated",.*`: 1})

	_, err = c.send(http.MethodDelete, "/v2/app/manifests/"+image.Digest, "", nil, http.StatusAccepted)
	must(t, err)
	list = good.waitFor("a deletion everywhere", "app", 7)[4:]
	target = fmt.Sprintf(`{"mediaType":%q,"digest":%q,"repository":"app"}`, image.MediaType, image.Digest)
	expect(t, list, map[string]int{
		`"action":"delete","target":` + regexp.QuoteMeta(target) + `,"request":\{"id":"ID",` +
			regexp.QuoteMeta(strings.Replace(client, "PUT", "DELETE", 1)) + `\}`: 1,
		`"action":"delete","target":` + regexp.QuoteMeta(target) + `,"request":\{"id":"ID",` +
			strings.Replace(gatewayPuts, "PUT", "DELETE", 1) + `\}`: 2,
	})

	if ids := good.ids(); len(ids) != 11 {
		t.Errorf("%d events, not 11", len(ids))
	}
	close(release)
	dead.open()
	for _, r := range []*receiver{slow, wrong, dead, redirecting} {
		r.waitForAll(good)
	}
	waitFor(t, startBound, "what was refused to come again", func() error {
		if times, _ := wrong.events(); slices.Contains(slices.Collect(maps.Values(times)), 1) {
			return fmt.Errorf("%v", times)
		}
		return nil
	})
	// Who deletes, and who copies, may both find that it is gone; a push is told of once.
	times, all := good.events()
	for _, got := range all {
		if n := times[got.ID]; n > 1 && got.Action != "delete" || n > len(gateways) {
			t.Errorf("%d times: %v", n, got)
		}
	}
	if got := trap.ids(); len(got) != 0 {
		t.Errorf("a redirect was followed: %v", got)
	}
}

var eventID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// expect compares bodies to the letter, but for IDs and times, with patterns of what stands between those and the last
// brace.
func expect(t *testing.T, list []received, patterns map[string]int) {
	t.Helper()
	count := 0
	for pattern, want := range patterns {
		whole := regexp.MustCompile(`^\{"id":"ID","timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",` + pattern +
			`\}$`)
		got := 0
		for _, r := range list {
			if whole.MatchString(eventID.ReplaceAllString(r.body, "ID")) {
				got++
			}
		}
		if got != want {
			t.Errorf("%d, not %d, are like %s:\n%v", got, want, whole, list)
		}
		count += want
	}
	if len(list) != count {
		t.Errorf("%d events, not %d: %v", len(list), count, list)
	}
}

// pushChart pushes what helm would.
func (c regional) pushChart(t *testing.T, repository, tag string) descriptor {
	t.Helper()
	config := []byte(`{"name":"app","version":"1.0.0+a","apiVersion":"v2"}`)
	location, err := c.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "", nil, http.StatusAccepted)
	must(t, err)
	_, err = c.send(http.MethodPut, location+"&digest="+digestOf(config), "application/octet-stream", config,
		http.StatusCreated)
	must(t, err)
	manifest := encode(t, document{SchemaVersion: 2, MediaType: typeManifest,
		Config: &descriptor{MediaType: typeChart, Digest: digestOf(config), Size: int64(len(config))}})
	_, err = c.send(http.MethodPut, "/v2/"+repository+"/manifests/"+tag, typeManifest, manifest, http.StatusCreated)
	must(t, err)
	return descriptor{MediaType: typeManifest, Digest: digestOf(manifest), Size: int64(len(manifest))}
}

// TestWebhooksKilled: a gateway is killed again and again while events wait for a receiver that is not there. None is
// lost, and all come with the IDs that another receiver had them with.
func TestWebhooksKilled(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, memoryKind, splitReplicas)
	good, dead := newReceiver(t, fine).open(), newReceiver(t, fine)
	g := startGateway(t, "gateway", "127.0.0.1", file{
		health: "{fronts: false}", networks: splitNetworks, replicas: withUpstreams(splitReplicas, registries),
		state: t.TempDir(), replication: "{concurrency: 4}",
		webhooks: "webhooks_private: true\nwebhooks:\n" + good.hook("good1", "") + dead.hook("dead1", ""),
	})
	c := newRegional(t, 1, g)
	const pushes = 4
	rounds := few(2, 5)
	for round := range rounds {
		for n := range pushes {
			_, err := c.push(t, fmt.Sprintf("app-%d", round), fmt.Sprint("v", n), nil)
			must(t, err)
		}
		g.kill()
		g.restart()
	}
	for round := range rounds {
		repository := fmt.Sprintf("app-%d", round)
		counts := map[string]int{}
		for _, got := range good.waitFor("all regions", repository, pushes*4) {
			counts[got.Action]++
		}
		if counts["push"] != pushes*3 || counts["replicated"] != pushes {
			t.Errorf("%s: %v", repository, counts)
		}
	}
	waitFor(t, startBound, "nothing to wait but for who is not there", func() error {
		if pending := int(g.metric(t, "fairlead_webhook_pending")); pending != rounds*pushes*4 {
			return fmt.Errorf("%d, not %d", pending, rounds*pushes*4)
		}
		return nil
	})
	g.kill()
	g.restart()
	dead.open()
	dead.waitForAll(good)
	times, _ := good.events()
	t.Logf("figure: %d events, a gateway killed %d times, each came at most %d times", len(times), rounds+1,
		slices.Max(slices.Collect(maps.Values(times))))
}

// TestWebhookCommands: what az acr webhook does, by fairlead webhook; and a receiver in a private network, which the
// file does not allow.
func TestWebhookCommands(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, memoryKind, splitReplicas[:1])
	private := newReceiver(t, fine).open()
	g := startGateway(t, "gateway", "127.0.0.1", file{
		health: "{fronts: false}", networks: splitNetworks, replicas: withUpstreams(splitReplicas[:1], registries),
		state: t.TempDir(), replication: "{concurrency: 4}",
		webhooks: "webhooks:\n" + private.hook("inFile", ""),
	})
	run := func(code int, want string, args ...string) string {
		t.Helper()
		out, got := fairlead(t, append(append([]string{"webhook"}, args...), "--admin", "http://"+g.admin)...)
		if got != code || !strings.Contains(out, want) {
			t.Errorf("fairlead webhook %q: exit code %d, want %d with %q:\n%s", args, got, code, want, out)
		}
		return out
	}
	run(0, "ciBuilds  westus    push delete  app:*  enabled", "create", "-n", "ciBuilds", "--uri",
		"http://"+private.address+"/s3cret?token=s3cret", "--actions", "push", "delete",
		"--headers", "X-Team=red", "Authorization=Basic s3cret", "--scope", "app:*", "-l", "westus", "--secret",
		webhookSecret)
	run(1, "409 Conflict: there is a webhook of that name", "create", "-n", "CIBUILDS", "--uri", "http://a",
		"--actions", "push")
	run(1, "must be one of [westus]", "create", "-n", "other", "--uri", "http://a", "--actions", "pull", "-l",
		"nowhere")
	run(1, `required flag(s) "actions", "uri" not set`, "create", "-n", "other")
	run(1, "in the file", "update", "-n", "inFile", "--status", "disabled")
	run(1, "in the file", "delete", "-n", "inFile")
	run(1, "404 Not Found: there is no such webhook", "show", "-n", "nobody")
	g.kill()
	g.restart()
	out := run(0, "ciBuilds", "list", "-o", "json") + run(0, `"serviceUri": "http://`+private.address+`/*****"`, "show",
		"-n", "ciBuilds", "-o", "json")
	if strings.Contains(out, "s3cret") || strings.Contains(out, webhookSecret) {
		t.Errorf("a secret is shown:\n%s", out)
	}
	run(0, "ciBuilds  westus    push     -      enabled", "update", "-n", "ciBuilds", "--actions", "push", "--scope",
		"")

	id := strings.TrimSpace(strings.TrimPrefix(run(0, "ID\n", "ping", "--name", "ciBuilds"), "ID\n"))
	_, err := newRegional(t, 1, g).push(t, "app", "v1", nil)
	must(t, err)
	var events []struct {
		ID, State, Error string
		Request          struct{ Content received } `json:"eventRequestMessage"`
	}
	waitFor(t, startBound, "what is not sent to be tried", func() error {
		must(t, json.Unmarshal([]byte(run(0, "", "list-events", "-n", "ciBuilds", "-o", "json")), &events))
		if len(events) != 2 || events[0].Error == "" || events[1].Error == "" {
			return fmt.Errorf("%+v", events)
		}
		return nil
	})
	if e := events[1]; e.ID != id || e.Request.Content.Action != "ping" || e.State != "pending" ||
		!strings.Contains(e.Error, "nothing is sent to 127.0.0.1") {
		t.Errorf("%+v", e)
	}
	run(0, events[0].ID+"  push    app:v1  -            20", "list-events", "-n", "ciBuilds")
	run(0, "disabled", "update", "-n", "ciBuilds", "--status", "disabled")
	run(1, "disabled", "ping", "-n", "ciBuilds")
	run(0, "", "delete", "-n", "ciBuilds")
	run(1, "no such webhook", "list-events", "-n", "ciBuilds")
	if got := private.ids(); len(got) != 0 {
		t.Errorf("sent to a private address: %v", got)
	}
}
