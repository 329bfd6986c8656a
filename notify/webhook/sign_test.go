package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"
)

// verify is the recipe of Sign, as a receiver would write it.
func verify(secret, header string, body []byte, now time.Time) bool {
	var t string
	var signatures []string
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			t = value
		case "v1":
			signatures = append(signatures, value)
		}
	}
	unix, err := strconv.ParseInt(t, 10, 64)
	if err != nil || now.Sub(time.Unix(unix, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "." + string(body)))
	want := []byte(hex.EncodeToString(mac.Sum(nil)))
	for _, s := range signatures {
		if hmac.Equal(want, []byte(s)) {
			return true
		}
	}
	return false
}

func TestSign(t *testing.T) {
	const secret = "0123456789abcdef"
	at := time.Unix(1_800_000_000, 999)
	body := []byte(`{"id":"e1"}`)
	header := Sign(secret, at, body)
	// printf '1800000000.{"id":"e1"}' | openssl dgst -sha256 -hmac 0123456789abcdef
	if want := "t=1800000000,v1=195e2b4881e9f9fec11ab451d94d532d2df658f76b4073e5c6b5df607ac53c94"; header != want {
		t.Errorf("got %s", header)
	}
	for name, test := range map[string]struct {
		secret, header, body string
		now                  time.Time
		want                 bool
	}{
		"as sent":        {secret, header, string(body), at, true},
		"late enough":    {secret, header, string(body), at.Add(4 * time.Minute), true},
		"sent again":     {secret, header, string(body), at.Add(6 * time.Minute), false},
		"another secret": {secret + "0", header, string(body), at, false},
		"another body":   {secret, header, string(body) + " ", at, false},
		"another time":   {secret, strings.Replace(header, "t=1800000000", "t=1800000001", 1), string(body), at, false},
		"two secrets":    {secret, header + ",v1=00", string(body), at, true},
	} {
		if verify(test.secret, test.header, []byte(test.body), test.now) != test.want {
			t.Error(name)
		}
	}
}
