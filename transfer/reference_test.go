package transfer

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestPutTag(t *testing.T) {
	body := []byte(`{"schemaVersion":2}`)
	to := newFake(t, nil)
	if err := PutTag(t.Context(), to.replica("to"), "team/app", "v1", sum(body), "application/json", body, alice); err != nil || !bytes.Equal(to.has["v1"], body) {
		t.Errorf("%q, %v", to.has["v1"], err)
	}
	if err := PutTag(t.Context(), to.replica("to"), "team/app", "v1", sum(nil), "application/json", body, alice); err != errDigest {
		t.Error(err)
	}
	for _, tag := range []string{"", "../v1", "a/b", "v1?x", sum(body), strings.Repeat("a", 129)} {
		if err := PutTag(t.Context(), to.replica("to"), "team/app", tag, sum(body), "application/json", body, alice); err != errTag {
			t.Errorf("%q: %v", tag, err)
		}
	}
}

func TestDelete(t *testing.T) {
	var path string
	status, there := 0, http.StatusOK
	at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.WriteHeader(there)
			return true
		}
		path = r.Method + " " + r.URL.Path
		say(w, status, "UNSUPPORTED", "no")
		return true
	})
	for code, want := range map[int]string{202: "", 200: "", 404: "", 405: "at: DELETE: 405: UNSUPPORTED: no", 500: "at: DELETE: 500: UNSUPPORTED: no"} {
		status = code
		for _, err := range []error{
			DeleteManifest(t.Context(), at.replica("at"), "team/app", "v1", alice),
			DeleteBlob(t.Context(), at.replica("at"), "team/app", sum(nil), alice),
		} {
			if got := fmt.Sprint(err); got != want && (err != nil || want != "") {
				t.Errorf("%d: %v", code, err)
			}
			if Unsupported(err) != (code == 405) || Missing(err) || err != nil && At(err) != "at" {
				t.Errorf("%d: %v", code, err)
			}
		}
	}
	if path != "DELETE /v2/team/app/blobs/"+sum(nil) {
		t.Error(path)
	}
	status, there = 405, 404
	if err := DeleteManifest(t.Context(), at.replica("at"), "team/app", "v1", alice); err != nil {
		t.Errorf("refused, but it is not there: %v", err)
	}
	path = ""
	if DeleteManifest(t.Context(), at.replica("at"), "team/app", "../x", alice) == nil || DeleteBlob(t.Context(), at.replica("at"), "team/app", "v1", alice) == nil || path != "" {
		t.Errorf("asked for %s", path)
	}
}

func TestReferrers(t *testing.T) {
	answer, status := "", 200
	at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(status)
		w.Write([]byte(answer))
		return true
	})
	list := strings.Repeat(`{"digest":"`+sum(nil)+`"},`, 2*maxReferrers)
	for _, c := range []struct {
		status int
		answer string
		want   int
		failed bool
	}{
		{200, `{"manifests":[{"digest":"` + sum(nil) + `"},{"digest":"../x"}]}`, 1, false},
		{200, `{"manifests":[` + list[:len(list)-1] + `]}`, maxReferrers, false},
		{200, `{}`, 0, false},
		{404, ``, 0, false},
		{200, `<html>`, 0, true},
		{500, ``, 0, true},
	} {
		status, answer = c.status, c.answer
		got, err := Referrers(t.Context(), at.replica("at"), "team/app", sum(nil), alice)
		if len(got) != c.want || (err != nil) != c.failed {
			t.Errorf("%d: %d, %v", c.status, len(got), err)
		}
	}
}
