package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
)

// SetKeys replaces the keys: the first encrypts from now on, all decrypt. A key is changed without an outage by
// adding the new one last at every member, then moving it to the front at every member, then removing the old one.
// An error changes nothing.
func (c *Cluster) SetKeys(keys [][]byte) error {
	if c.keyring == nil || len(keys) == 0 {
		return errors.New("cluster: encryption is not turned on or off while running")
	}
	for _, k := range keys {
		if err := memberlist.ValidateKey(k); err != nil {
			return fmt.Errorf("cluster key: %w", err)
		}
	}
	c.keysMu.Lock()
	defer c.keysMu.Unlock()
	return setKeys(c.keyring, keys)
}

// keysEvery is how often a file of keys is read: next to nothing.
const keysEvery = 5 * time.Second

// FollowKeys takes over the keys that read returns whenever they are others than before, until ctx ends.
func (c *Cluster) FollowKeys(ctx context.Context, read func() ([][]byte, error)) {
	tick := time.NewTicker(keysEvery)
	defer tick.Stop()
	for before := c.cfg.Keys; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		keys, err := read()
		if err == nil && slices.EqualFunc(keys, before, bytes.Equal) {
			continue
		}
		if err == nil {
			err = c.SetKeys(keys)
		}
		if err != nil {
			c.log.Warn("the cluster's key file cannot be used: the old keys stay in use", "error", err)
			continue
		}
		before = keys
		c.log.Info("the cluster's keys were replaced", "first", fingerprint(keys[0]), "keys", len(keys))
	}
}

// fingerprint tells keys apart and nothing of what they are.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:4])
}

// setKeys removes keys from the end only: Keyring.RemoveKey moves what follows the key within the slice that packets
// are being decrypted with.
func setKeys(ring *memberlist.Keyring, keys [][]byte) error {
	wanted := func(key []byte) bool {
		return slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })
	}
	for _, k := range keys {
		if err := ring.AddKey(k); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(ring.GetKeys(), func(k []byte) bool { return !wanted(k) }) {
		for _, k := range slices.Backward(keys[1:]) {
			if err := ring.UseKey(k); err != nil {
				return err
			}
		}
	}
	if err := ring.UseKey(keys[0]); err != nil {
		return err
	}
	for _, k := range slices.Backward(slices.Clone(ring.GetKeys())) {
		if !wanted(k) {
			if err := ring.RemoveKey(k); err != nil {
				return err
			}
		}
	}
	return nil
}
