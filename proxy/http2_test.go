package proxy

import (
	"net/http"
	"testing"
)

func TestRefusalOfHTTP2(t *testing.T) {
	type fields = http.Header
	for _, test := range []struct {
		method, target, host string
		header               fields
		length               int64
		want                 *refusal
	}{
		{"GET", "/v2/", "registry.contoso.com", nil, 0, nil},
		{"OPTIONS", "*", "registry.contoso.com:5000", nil, 0, nil},
		{"GET", "/v2/?a=%zz", "[::1]:5000", fields{"Host": {"[::1]:5000"}}, 0, nil},
		{"PUT", "/v2/", "a", fields{"Content-Length": {"5"}, "Expect": {"100-continue"}}, 5, nil},
		{"GET", "/v2/", "a", fields{"Content-Length": {"0"}}, 0, nil},
		{"PUT", "/v2/", "a", nil, -1, nil},

		{"GET", "*", "a", nil, 0, badTarget},
		{"GET", "", "a", nil, 0, badTarget},
		{"GET", "http://a/v2/", "a", nil, 0, badTarget},
		{"GET", "/v2/#x", "a", nil, 0, badTarget},
		{"GET", "/v2/ HTTP/1.1", "a", nil, 0, badTarget},
		{"GET", "/v2/\xc3\xa9", "a", nil, 0, badTarget},
		{"GET", "/v2/", "a@b", nil, 0, badHost},
		{"GET", "/v2/", "a b", nil, 0, badHost},
		{"GET", "/v2/", "a", fields{"Host": {"b"}}, 0, otherHost},
		{"GET", "/v2/", "a", fields{"Host": {"a", "a"}}, 0, otherHost},
		{"PUT", "/v2/", "a", fields{"Content-Length": {"5"}}, 0, badLength},
		{"PUT", "/v2/", "a", fields{"Content-Length": {"5", "6"}}, 5, badLength},
		{"PUT", "/v2/", "a", fields{"Content-Length": {"+5"}}, 0, badLength},
		{"PUT", "/v2/", "a", fields{"Content-Length": {"x"}}, 0, badLength},
		{"PUT", "/v2/", "a", fields{"Content_length": {"5"}}, -1, lookalike},
		{"PUT", "/v2/", "a", fields{"Transfer_encoding": {"chunked"}}, -1, lookalike},
		{"PUT", "/v2/", "a", fields{"Expect": {"200-ok"}}, -1, badExpectation},
	} {
		r := &http.Request{Method: test.method, RequestURI: test.target, Host: test.host, Header: test.header,
			ContentLength: test.length, ProtoMajor: 2}
		if got := refusalOfHTTP2(r); got != test.want {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}
