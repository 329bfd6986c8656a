package webhook_test

import (
	"crypto/hmac"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/notify/webhook"
)

// A receiver computes the signature anew, from the time that it names and the body as it came.
func ExampleSign() {
	const secret = "0123456789abcdef"
	body := []byte(`{"action":"push"}`)
	header := webhook.Sign(secret, time.Unix(1_800_000_000, 0), body) // as it came in Fairlead-Signature

	t, _, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",")
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		panic(err)
	}
	want := webhook.Sign(secret, time.Unix(seconds, 0), body)
	fmt.Println(t, hmac.Equal([]byte(header), []byte(want)))
	// Output: 1800000000 true
}
