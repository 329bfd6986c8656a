package gateway

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles/keyfilestest"
)

// edited is a gateway that is not run, with its file.
type edited struct {
	*Gateway
	t    *testing.T
	dir  string
	text string
	log  bytes.Buffer
}

func newEdited(t *testing.T) *edited {
	t.Helper()
	e := &edited{t: t, dir: t.TempDir()}
	keyfilestest.WritePair(e.dir, "one")
	keyfilestest.WritePair(e.dir, "two")
	e.text = fmt.Sprintf(`hostname: registry.contoso.com
dns: {listen: ["%s"], ttl: 60s}
proxy: {listen: ["%s"], tls: {certificate: one.pem, key: one.key}}
admin: {listen: "%s"}
health: {fronts: false}
webhooks: [{name: ciBuilds, uri: "http://127.0.0.1:1/CANARY", actions: [push], secret: "CANARY0123456789"}]
replicas: [{name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "http://127.0.0.1:1", bias: 1}]
`, freeAddress(t), freeAddress(t), freeAddress(t))
	e.write(e.text)
	c, err := configs.Load(filepath.Join(e.dir, "fairlead.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if e.Gateway, err = New(t.Context(), c, "v0", slog.New(slog.NewTextHandler(&e.log, nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.open.close()
		if err := e.close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *edited) write(text string) {
	e.t.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, "fairlead.yaml"), []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

func (e *edited) reload() admin.Loaded {
	e.t.Helper()
	e.log.Reset()
	l, err := e.Reload()
	if err != nil {
		e.t.Fatal(err)
	}
	return l
}

// TestReload: what comes of each kind of edit, where it is told, and what is in force then.
func TestReload(t *testing.T) {
	for _, tt := range []struct {
		name, old, now string
		want           string // the result
		log, note      string // parts of them
		bias           float64
	}{
		{"nothing", "", "", admin.LoadedUnchanged, "says what is in force", "", 1},
		{"a comment", "hostname", "# a\nhostname", admin.LoadedUnchanged, "says what is in force", "", 1},
		{"a value", "bias: 1", "bias: 2", admin.LoadedOK, `msg="a change of the file is in force" field=replicas[west].bias old=1 new=2`, "", 2},
		{"a bad value", "bias: 1", "bias: x", admin.LoadedRefused, `line=7 field=replicas[0].bias value=x rule="must be a number, not text"`,
			"fairlead.yaml:7: replicas[0].bias: must be a number, not text", 1},
		{"a secret", "CANARY0123456789", "CANARY9876543210", admin.LoadedOK, `field=webhooks[ciBuilds].secret old=*** new=***`, "", 1},
		{"a restart", "ttl: 60s}", "ttl: 60s}\nstate: elsewhere", admin.LoadedOK,
			`msg="a change of the file needs a restart" field=state old="" new=`, "needs a restart: state", 1},
		{"both", "ttl: 60s}\n", "ttl: 60s}\nstate: elsewhere\nlease: {idle: 1h}\n", admin.LoadedOK, "field=lease.idle old=10m new=1h", "needs a restart: state", 1},
		{"a certificate that does not fit", "one.key", "two.key", admin.LoadedRefused, "field=proxy.tls.certificate",
			"fairlead.yaml:3: proxy.tls.certificate: certificate and key do not load as a pair", 1},
		{"a database that is none", "ttl: 60s}", "ttl: 60s}\ngeo: {database: one.pem}", admin.LoadedRefused, `rule="geo.database: `, "geo.database: ", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEdited(t)
			e.write(strings.Replace(e.text, tt.old, tt.now, 1))
			before := e.live.config()
			l := e.reload()
			if l.Result != tt.want || !strings.Contains(e.log.String(), tt.log) || strings.Contains(e.log.String(), "CANARY") {
				t.Errorf("%+v, log:\n%s", l, &e.log)
			}
			if note := e.file.fileCheck(); note.Problem != "" || (note.Note == "") != (tt.note == "") || !strings.Contains(note.Note, tt.note) {
				t.Errorf("note %q, want %q", note.Note, tt.note)
			}
			if got := e.live.config().Replicas[0].Bias; got != tt.bias {
				t.Errorf("bias %v, want %v", got, tt.bias)
			}
			if (tt.want == admin.LoadedRefused) != (e.live.config() == before) {
				t.Error("what is in force is not what it should be")
			}
			if n := testutil.ToFloat64(e.file.loads.WithLabelValues(tt.want)); n != 1 {
				t.Errorf("%v readings were %s", n, tt.want)
			}
			for _, v := range e.inForce().Values {
				if strings.Contains(v.Value, "CANARY") {
					t.Errorf("%s shows a secret", v.Field)
				}
			}
			e.write(e.text)
			if l := e.reload(); l.Result == admin.LoadedRefused || e.file.fileCheck().Note != "" || e.live.config().Replicas[0].Bias != 1 {
				t.Errorf("back again: %+v", l)
			}
		})
	}
}

// TestApplyAllOrNothing: where one part cannot take a file, no other has it.
func TestApplyAllOrNothing(t *testing.T) {
	e := newEdited(t)
	before, orders := e.live.config(), e.geo.Orders()
	if err := os.Remove(filepath.Join(e.dir, "two.key")); err != nil {
		t.Fatal(err)
	}
	c := *before
	c.Replicas = append([]configs.Replica(nil), c.Replicas...)
	c.Replicas[0].Bias = 500
	c.Proxy.TLS = &configs.TLS{Certificate: filepath.Join(e.dir, "two.pem"), Key: filepath.Join(e.dir, "two.key")}
	if err := e.apply(&c); !errors.Is(err, os.ErrNotExist) || e.live.config() != before || e.geo.Orders() != orders {
		t.Errorf("half of a file is in force: %v", err)
	}
}

// TestReapply: what this gateway adds to its file may be another, and the file the same.
func TestReapply(t *testing.T) {
	e := newEdited(t)
	e.file.mu.Lock()
	err := e.reapply()
	e.file.mu.Unlock()
	if err != nil || e.live.config().Replicas[0].Bias != 1 {
		t.Error(err)
	}
}

// TestLiveCertificate: clients are shown the certificate that the file names, from the next connection on.
func TestLiveCertificate(t *testing.T) {
	e := newEdited(t)
	shown := func() string {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go func() {
			defer ours.Close()
			_ = tls.Server(ours, e.tls).Handshake()
		}()
		client := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		return string(client.ConnectionState().PeerCertificates[0].Raw)
	}
	one := shown()
	e.write(strings.NewReplacer("one.pem", "two.pem", "one.key", "two.key").Replace(e.text))
	if l := e.reload(); l.Result != admin.LoadedOK || shown() == one {
		t.Errorf("%+v", l)
	}
	e.write(e.text)
	if l := e.reload(); l.Result != admin.LoadedOK || shown() != one {
		t.Errorf("%+v", l)
	}
}

// TestReloadOfNoFile: a gateway that goes by what is built in says so.
func TestReloadOfNoFile(t *testing.T) {
	g := &Gateway{file: newLiveFile(parsed(t, geoFile), nil)}
	var p admin.Problem
	if _, err := g.Reload(); !errors.As(err, &p) || p.Status != http.StatusConflict {
		t.Errorf("%v", err)
	}
}

// TestRefusedForWhatItNames: a file that was refused is tried again, and said once.
func TestRefusedForWhatItNames(t *testing.T) {
	e := newEdited(t)
	folder := filepath.Join(e.dir, "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	e.write(strings.Replace(e.text, "key: one.key}}", "key: one.key}, access_log: logs/it}", 1))
	again := func() string {
		e.log.Reset()
		e.read(e.look) // two looks alike
		e.read(e.look)
		if !e.file.refused.IsZero() {
			e.file.refused = e.file.refused.Add(-againEvery)
		}
		return e.log.String()
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // a file, where the log's folder should be
		t.Fatal(err)
	}
	if said := again(); !strings.Contains(said, "the file is refused") || e.live.config().Proxy.AccessLog != "" {
		t.Fatalf("it is in force: %s", said)
	}
	if said := again(); said != "" {
		t.Errorf("said again: %s", said)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if said := again(); !strings.Contains(said, "the file is right again") || e.live.config().Proxy.AccessLog == "" {
		t.Errorf("not tried again: %s, %+v", said, e.file.last.Load())
	}
}
