package configs

import (
	"crypto/sha256"
	"encoding/hex"
)

// Incarnation tells a replica's registry from another one that the file gives the same name: 8 hex digits of what says
// which registry it is, its upstream and its storage. All gateways with the same file have the same one.
func (r Replica) Incarnation() string {
	upstream := ""
	if r.Upstream != nil {
		upstream = r.Upstream.String()
	}
	sum := sha256.Sum256([]byte(upstream + "\x00" + r.Storage))
	return hex.EncodeToString(sum[:4])
}
