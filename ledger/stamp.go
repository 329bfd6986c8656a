package ledger

import (
	"strings"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// buriedMark makes of a member's name one that no member has, since names are DNS labels, and the next one in their order.
const buriedMark = "!"

// buried is the first stamp after s: of the deletion of a tag that was written then, with its digest.
func buried(s hlc.Stamp) hlc.Stamp {
	s.Member += buriedMark
	return s
}

// Gateway is the member that wrote it.
func (e Entry) Gateway() string { return strings.TrimSuffix(e.Stamp.Member, buriedMark) }

// Buried reports whether it is a tag that was deleted with its digest. Its stamp is not of when that was.
func (e Entry) Buried() bool { return strings.HasSuffix(e.Stamp.Member, buriedMark) }
