package keyfiles

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
)

// maxClusterKeys bounds the keys of a file: two are needed while one takes the other's place.
const maxClusterKeys = 16

// ClusterKeys reads the keys of a cluster from a file, as it is now: the first encrypts, all decrypt. "" has none.
func ClusterKeys(file string) ([][]byte, error) {
	if file == "" {
		return nil, nil
	}
	data, err := Read(file)
	if err != nil {
		return nil, fmt.Errorf("cluster.key: %w", err)
	}
	keys, err := ParseClusterKeys(data)
	if err != nil {
		return nil, fmt.Errorf("cluster.key: must hold keys of 16, 24 or 32 bytes in base64, one a line: %w", err)
	}
	return keys, nil
}

// ParseClusterKeys takes keys of 16, 24 or 32 bytes in base64, one a line. An error repeats nothing of what it reads:
// it may be a secret that was put into the wrong file.
func ParseClusterKeys(data []byte) ([][]byte, error) {
	var keys [][]byte
	line := 0
	for text := range bytes.Lines(data) {
		line++
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil || len(key) != 16 && len(key) != 24 && len(key) != 32 {
			return nil, fmt.Errorf("line %d is none", line)
		}
		if keys = append(keys, key); len(keys) > maxClusterKeys {
			return nil, fmt.Errorf("there are more than %d", maxClusterKeys)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is none")
	}
	return keys, nil
}
