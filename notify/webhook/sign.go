package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Headers that we add.
const (
	headerDelivery  = "Fairlead-Delivery"
	headerSignature = "Fairlead-Signature"
)

// Sign is the value of Fairlead-Signature: "t=UNIX,v1=HEX". A receiver verifies it so:
//
//  1. Take t, and the value of every v1; ignore what else is there.
//  2. Compute HMAC-SHA-256 with the secret over t as it stands there, a full stop, and the body as it was received.
//  3. Compare its lower-case hex with v1 in constant time; refuse if none is equal.
//  4. Refuse if t is more than five minutes from the own clock: it is sent again. Each attempt is signed anew.
//  5. Drop a delivery whose Fairlead-Delivery, which is the body's id, was taken before: it may come twice.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
