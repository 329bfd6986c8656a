package configs

import (
	"os"
	"strings"
	"testing"
)

// What may be a secret is in no problem: addresses of receivers, headers, secrets.
func TestWebhookSecretsAreNotShown(t *testing.T) {
	data, err := os.ReadFile("testdata/invalid-webhooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse("f.yaml", data)
	for _, secret := range []string{"hidden", "4711", "1234567890123456"} {
		if !strings.Contains(string(data), secret) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s is shown, or not in the file:\n%v", secret, err)
		}
	}
}
