package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	const ms = time.Millisecond
	b := bench{cases: []benchCase{{name: "pull", target: 0.8}, {name: "HEAD", small: true, target: 1.5}, {name: "push"}},
		peers: []peer{{name: "fairlead", gateway: true}, {name: yardstick}}}
	r := results{
		// The ratios are 0.9, 0.5 and 0.6: their median is not that of the medians, 1.
		"pull": {"fairlead": {900 * ms, 1500 * ms, 600 * ms}, yardstick: {1000 * ms, 3000 * ms, 1000 * ms}},
		"HEAD": {"fairlead": {160 * time.Microsecond}, yardstick: {100 * time.Microsecond}},
		"push": {"fairlead": {time.Second}},
	}
	want := `| CPU of the proxy | proxy | CPU | HAProxy | ratio to HAProxy | lowest, highest | target |  |
| --- | --- | --- | --- | --- | --- | --- | --- |
| pull | fairlead | 0.90 s/GiB | 1.00 s/GiB | 0.60 | 0.50, 0.90 | ≤ 0.80 | pass |
| HEAD | fairlead | 160 µs | 100 µs | 1.60 | 1.60, 1.60 | ≤ 1.50 | FAIL |
| push | fairlead | 1.00 s/GiB | 0.00 s/GiB |  |  |  |  |
`
	if got := b.table(r); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{5, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.of); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.of, got, c.want)
		}
	}
}

// TestWant: a proxy that answers wrongly is not measured.
func TestWant(t *testing.T) {
	good := want{http.StatusOK, 5, "sha256:a"}
	for name, c := range map[string]struct {
		status int
		body   string
		digest string
		wrong  string
	}{
		"good":         {http.StatusOK, "12345", "sha256:a", ""},
		"status":       {http.StatusNotFound, "12345", "sha256:a", "404"},
		"short":        {http.StatusOK, "1234", "sha256:a", "4 bytes"},
		"long":         {http.StatusOK, "123456", "sha256:a", "6 bytes"},
		"other digest": {http.StatusOK, "12345", "sha256:b", "sha256:b"},
	} {
		err := good.check(&http.Response{StatusCode: c.status, Status: http.StatusText(c.status) + " 404",
			Header: http.Header{"Docker-Content-Digest": {c.digest}}, Body: io.NopCloser(strings.NewReader(c.body))})
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v, want %q in it", name, err, c.wrong)
		}
	}
}

func TestDNSLine(t *testing.T) {
	a := answers{took: []time.Duration{time.Millisecond, 2 * time.Millisecond, 200 * time.Millisecond}}
	want := "| it | 4 | 4 | 3 | 50.000 % | 2.0 ms | 200.0 ms | 200.0 ms | 200.0 ms | 0.0 ms | ≥ 99.9 % | FAIL |\n"
	if got := (queries{rate: 4, time: time.Second}).line("it", a); got != want { // one is not answered
		t.Errorf("got %s, want %s", got, want)
	}
}
