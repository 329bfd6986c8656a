package configs

import (
	"fmt"
	"reflect"
	"time"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// maxFile bounds the file, in bytes. 256 replicas and 10,000 networks need about half of it.
const maxFile = keyfiles.MaxSize

// Load reads and checks a file. The error is Problems where the content is wrong, else one that says why
// the file cannot be read. File names in it are relative to its own folder.
func Load(path string) (*Config, error) {
	data, err := keyfiles.Read(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return Parse(path, data)
}

// Parse checks data as the content of file, which is used in messages and to find the files it names.
// An error is always Problems.
func Parse(file string, data []byte) (*Config, error) {
	root, problem := document(data)
	if problem.Rule != "" {
		problem.File = file
		return nil, Problems{problem}
	}
	d := &decoder{
		file: file, rules: rules, budget: len(data),
		written: map[string]written{}, unread: map[string]bool{}, first: map[given]string{},
	}
	c := defaults(file)
	d.section("", "", root, reflect.ValueOf(c).Elem())
	d.check(c)
	if len(d.problems) > 0 {
		return nil, d.all()
	}
	c.written = d.written
	return c, nil
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
	}
}
