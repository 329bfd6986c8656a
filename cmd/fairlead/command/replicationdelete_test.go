package command

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReplicationDelete(t *testing.T) {
	asked := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked = r.Method + " " + r.URL.String(); strings.Contains(asked, "eastus") {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"detail": "the file has eastus"}`)
			return
		}
		_, _ = io.WriteString(w, `{"replica": "westus"}`)
	}))
	defer s.Close()
	const asks = "POST /replication/delete?replica=westus"
	for name, c := range map[string]struct {
		args             []string
		asks, says, fail string
	}{
		"without --force": {[]string{"westus"}, "", "", "--force"},
		"with it":         {[]string{"westus", "--force"}, asks, "westus has left\n", ""},
		"as json":         {[]string{"westus", "--force", "-o", "json"}, asks, "{\n  \"replica\": \"westus\"\n}\n", ""},
		"refused": {[]string{"eastus", "--force"}, "POST /replication/delete?replica=eastus", "",
			"the file has eastus"},
	} {
		asked = ""
		var out bytes.Buffer
		cmd := deleteCommand()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetOut(&out)
		cmd.SetArgs(append(c.args, "--admin", s.URL))
		err := cmd.Execute()
		if asked != c.asks || out.String() != c.says || (err == nil) != (c.fail == "") ||
			err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%s: asks %q, says %q, %v", name, asked, out.String(), err)
		}
	}
}
