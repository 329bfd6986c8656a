package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

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
