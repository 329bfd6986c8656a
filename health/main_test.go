package health

import (
	"testing"

	"go.uber.org/goleak"
)

// No probe may outlive its test: neither its connection nor what http.Transport starts for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
