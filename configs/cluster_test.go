package configs

import (
	"encoding/base64"
	"path/filepath"
	"reflect"
	"testing"
)

func TestClusterForms(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cluster.key"), base64.StdEncoding.EncodeToString(make([]byte,
		32))+"\n\n"+base64.StdEncoding.EncodeToString([]byte("sixteen bytes...")))
	name := filepath.Join(dir, "fairlead.yaml")
	tests := []struct {
		name, section string
		want          *Cluster
	}{
		{"left out", "", nil},
		{"nothing in it", "cluster: {}", nil},
		{"commented out", "cluster:", nil},
		{"defaults",
			"cluster: {peers: [GW1.contoso.com., 192.0.2.1, '2001:db8::1', '[2001:db8::2]:1', 'gw2:8000', '::ffff:192.0.2.2'], key: cluster.key}",
			&Cluster{Listen: ":7946", Name: machineName(), Key: filepath.Join(dir, "cluster.key"),
				Peers: []string{"gw1.contoso.com:7946", "192.0.2.1:7946", "[2001:db8::1]:7946", "[2001:db8::2]:1",
					"gw2:8000",
					"192.0.2.2:7946"}}},
		{"on loopback", "cluster: {listen: '127.0.0.1:7000', peers: ['[::1]:7001'], name: gw1}",
			&Cluster{Listen: "127.0.0.1:7000", Name: "gw1", Peers: []string{"[::1]:7001"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse(name, []byte(smallest+tt.section+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(c.Cluster, tt.want) {
				t.Errorf("%+v, want %+v", c.Cluster, tt.want)
			}
		})
	}
}

func FuzzPeerAddress(f *testing.F) {
	for _, s := range []string{"gw1", "gw1:7946", "[::1]", "::1", "[::1]:1", "1.2.3", "fe80::1%eth0", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, rule := peerAddress(s)
		if rule != "" {
			return
		}
		if again, rule := peerAddress(p); again != p || rule != "" {
			t.Errorf("%q became %q, then %q %s", s, p, again, rule)
		}
	})
}
