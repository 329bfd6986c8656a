package keyfiles

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

func TestClusterKeys(t *testing.T) {
	key := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	tests := []struct{ name, content, wantErr string }{
		{"one of each size", key(16) + "\n" + key(24) + "\r\n\n" + key(32), ""},
		{"empty", "\n", "there is none"},
		{"short", key(32) + "\n" + key(15), "line 2 is none"},
		{"no base64", "s3cret!", "line 1 is none"},
		{"many", strings.Repeat(key(16)+"\n", maxClusterKeys+1), "more than 16"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys, err := ClusterKeys(write(t, filepath.Join(t.TempDir(), "cluster.key"), tt.content))
			if tt.wantErr == "" && (err != nil || len(keys) != 3 || len(keys[1]) != 24) {
				t.Errorf("%d keys, %v", len(keys), err)
			}
			if said := fmt.Sprint(err); tt.wantErr != "" && !strings.Contains(said, tt.wantErr) ||
				strings.Contains(said, "s3cret") {
				t.Errorf("got %v, want %s", err, tt.wantErr)
			}
		})
	}
	if _, err := ClusterKeys(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if keys, err := ClusterKeys(""); keys != nil || err != nil {
		t.Errorf("without a file: %v, %v", keys, err)
	}
}

func FuzzParseClusterKeys(f *testing.F) {
	f.Add([]byte(base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"))
	f.Add([]byte("\n\n=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseClusterKeys(data)
		if (err == nil) != (len(keys) > 0) || len(keys) > maxClusterKeys {
			t.Errorf("%d keys, %v", len(keys), err)
		}
	})
}
