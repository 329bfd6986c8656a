package ledger

import (
	"strings"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// tombstoneMark makes of a member's name one that no member has, since names are DNS labels, and the next one in their
// order.
const tombstoneMark = "!"

// tombstoneStamp is the first stamp after s: of the deletion of a tag that was written then, with its digest.
func tombstoneStamp(s hlc.Stamp) hlc.Stamp {
	s.Member += tombstoneMark
	return s
}

// Gateway is the member that wrote it.
func (e Entry) Gateway() string { return strings.TrimSuffix(e.Stamp.Member, tombstoneMark) }

// DeletedWithDigest reports whether it is a tag that was deleted with its digest. Its stamp is not of when that was.
func (e Entry) DeletedWithDigest() bool { return strings.HasSuffix(e.Stamp.Member, tombstoneMark) }
