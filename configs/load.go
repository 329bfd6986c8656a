package configs

import (
	"fmt"
	"reflect"
	"time"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// maxFile bounds the file, in bytes. 256 replicas and 10,000 networks need about half of it.
const maxFile = keyfiles.MaxSize

// Load reads and checks a file, and what stands in replicas.d beside it. The error is Problems where the content is
// wrong, else one that says why the file cannot be read. File names in them are relative to the file's own folder.
func Load(path string) (*Config, error) {
	c, _, err := Read(path).Config()
	return c, err
}

// Parse checks data as the content of file, which is used in messages and to find the files it names.
// An error is always Problems.
func Parse(file string, data []byte) (*Config, error) {
	c, _, err := (&Source{file: file, data: data}).Config()
	return c, err
}

// Config checks what was read. Named are the files that it names, whether it is right or not: when one of them is
// another, the answer may be.
func (s *Source) Config() (c *Config, named []string, err error) {
	if s.err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.file, s.err)
	}
	root, problem := document(s.data)
	if problem.Rule != "" {
		problem.File = s.file
		return nil, nil, append(Problems{problem}, s.problems...)
	}
	root = s.over.onFile(root)
	d := &decoder{
		file: s.file, reading: written{file: s.file}, rules: rules,
		budget: len(s.data) + s.over.nodes(), problems: s.problems, filesKnown: s.over != nil,
		written: map[string]written{}, unread: map[string]bool{}, first: map[given]string{},
	}
	c = defaults(s.file)
	d.section("", "", root, reflect.ValueOf(c).Elem())
	d.parts(s, c)
	d.check(c)
	if len(d.problems) > 0 {
		return nil, d.named, d.all()
	}
	c.written, c.disk, c.source = d.written, s.disk, s
	return c, d.named, nil
}

func defaults(file string) *Config {
	limits := Limits{Manifest: 8 << 20, FirstByte: 4500 * time.Millisecond, Lists: 30 * time.Second,
		Resume: 30 * time.Second, Silence: 5 * time.Minute, ClientShare: 80, Hashing: 10}
	return &Config{
		File: file,
		DNS:  DNS{Listen: []string{":53"}, TTL: time.Minute},
		// 443 without tls, too: whoever terminates TLS in front of a gateway most often forwards to the same port.
		Proxy:       Proxy{Listen: []string{":443"}, Limits: limits},
		Lease:       Lease{Idle: 10 * time.Minute, Owner: OwnerNearest},
		Health:      Health{Interval: 5 * time.Second, Timeout: 2 * time.Second, Path: "/v2/", Fronts: true},
		Replication: Replication{Concurrency: 4, Unrecorded: UnrecordedRefuse},
		Admin:       Admin{Listen: "127.0.0.1:9180"},
		Settings:    Settings{Overlay: OverlayAllow},
	}
}
