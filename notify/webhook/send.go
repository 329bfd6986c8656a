package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// Bounds of an attempt.
const (
	maxResponse     = 4 << 10
	maxAnswerHeader = 8 << 10
)

// newTransport connects anew for each attempt, so that each address is checked when it is used, and asks no proxy,
// behind which addresses could not be checked.
func newTransport(allowPrivate bool, trust *tls.Config) *http.Transport {
	dialer := &net.Dialer{
		Timeout: attemptTimeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return checkAddress(at.Addr(), allowPrivate)
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        trust,
		DisableKeepAlives:      true,
		DisableCompression:     true, // a bound on what is read is one on what is kept
		MaxResponseHeaderBytes: maxAnswerHeader,
	}
}

// send makes one attempt.
func (s *Service) send(ctx context.Context, sub subscription.Subscription, d Delivery) outcome {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := s.request(ctx, sub, d)
	if err != nil {
		return outcome{result: resultBroken, err: err}
	}
	out := outcome{request: requestMessage(req)}
	client := &http.Client{
		Transport:     s.way(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		out.result, out.err = failure(err)
		return out
	}
	defer resp.Body.Close()
	// What comes of the body is kept; a success that breaks off in it is one all the same, or it would be sent twice.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	out.response = &ResponseMessage{
		Content: sub.MaskText(strings.ToValidUTF8(string(body), "�")), Headers: flat(resp.Header),
		StatusCode:   strconv.Itoa(resp.StatusCode),
		ReasonPhrase: http.StatusText(resp.StatusCode), Version: fmt.Sprintf("%d.%d", resp.ProtoMajor, resp.ProtoMinor),
	}
	for name, value := range out.response.Headers {
		out.response.Headers[name] = sub.MaskText(value)
	}
	switch resp.StatusCode / 100 {
	case 2:
		out.result = resultDelivered
	case 3:
		out.result, out.err = resultRedirect, fmt.Errorf("answered %d: redirects are not followed", resp.StatusCode)
	default:
		out.result, out.err = resultStatus, fmt.Errorf("answered %d", resp.StatusCode)
	}
	return out
}

func (s *Service) request(ctx context.Context, sub subscription.Subscription, d Delivery) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.ServiceURI, bytes.NewReader(d.Request.Content))
	if err != nil {
		return nil, errors.New("no request can be made of the uri")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "fairlead")
	for name, value := range sub.CustomHeaders {
		req.Header.Set(name, value)
	}
	req.Header.Set(headerDelivery, d.ID)
	if sub.Secret != "" {
		req.Header.Set(headerSignature, Sign(sub.Secret, s.now(), d.Request.Content))
	}
	return req, nil
}

func requestMessage(req *http.Request) RequestMessage {
	headers := flat(req.Header)
	headers["Content-Length"] = strconv.FormatInt(req.ContentLength, 10)
	return RequestMessage{Headers: headers, Method: req.Method, RequestURI: subscription.MaskURI(req.URL.String()),
		Version: "1.1"}
}

func flat(h http.Header) map[string]string {
	out := make(map[string]string, len(h))
	for name, values := range h {
		out[name] = strings.ToValidUTF8(strings.Join(values, ", "), "�")
	}
	return subscription.MaskHeaders(out)
}
