package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// webhookNames is Webhooks of nothing but names.
type webhookNames map[string]string

var errNone = Problem{http.StatusNotFound, "there is none"}

func (s webhookNames) List() any { return s }

func (s webhookNames) Get(name string) (any, error) {
	if _, ok := s[name]; !ok {
		return nil, errNone
	}
	return s[name], nil
}

type paper struct{ Name, URI string }

func (s webhookNames) Create(decode func(any) error) (any, error) {
	var p paper
	if err := decode(&p); err != nil {
		return nil, err
	}
	if _, ok := s[p.Name]; ok {
		return nil, Problem{http.StatusConflict, "there is one"}
	}
	s[p.Name] = p.URI
	return p, nil
}

func (s webhookNames) Update(name string, decode func(any) error) (any, error) {
	var p paper
	if err := decode(&p); err != nil {
		return nil, err
	}
	s[name] = p.URI
	return p, nil
}

func (s webhookNames) Delete(name string) error {
	if _, ok := s[name]; !ok {
		return errNone
	}
	delete(s, name)
	return nil
}

func (s webhookNames) Ping(string) (Pinged, error) { return Pinged{ID: "1"}, nil }
func (s webhookNames) Events(string) (any, error)  { return nil, errors.New("no space left on device") }

func TestWebhooks(t *testing.T) {
	var log bytes.Buffer
	mux := http.NewServeMux()
	webhookRoutes(mux, webhookNames{}, slog.New(slog.NewTextHandler(&log, nil)))
	for _, test := range []struct {
		line, body string
		status     int
		contains   string
	}{
		{"GET /webhooks", "", 200, "{}"},
		{"POST /webhooks", `{"name":"hook1","uri":"http://a"}`, 201, `"Name": "hook1"`},
		{"POST /webhooks", `{"name":"hook1","uri":"http://a"}`, 409, "there is one"},
		{"POST /webhooks", `{"name":"hook1","colour":"blue"}`, 400, "colour"},
		{"POST /webhooks", `{"name":"hook1"} {}`, 400, "more than one"},
		{"POST /webhooks", `{"name":`, 400, "cannot be read"},
		{"POST /webhooks", ``, 400, "cannot be read"},
		{"POST /webhooks", `{"name":"` + strings.Repeat("a", maxBody) + `"}`, 413, "65536 bytes"},
		{"PUT /webhooks", `{}`, 405, "cannot be done"},
		{"GET /webhooks/hook1", "", 200, "http://a"},
		{"GET /webhooks/hook2", "", 404, "there is none"},
		{"PATCH /webhooks/hook1", `{"uri":"http://b"}`, 200, "http://b"},
		{"POST /webhooks/hook1/ping", "", 202, `"id": "1"`},
		{"GET /webhooks/hook1/events", "", 500, "log"},
		{"GET /webhooks/hook1/other", "", 404, ""},
		{"DELETE /webhooks/hook1", "", 204, ""},
		{"DELETE /webhooks/hook1", "", 404, "there is none"},
	} {
		method, path, _ := strings.Cut(test.line, " ")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(test.body)))
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.contains) {
			t.Errorf("%s %.80s: %d %s, want %d with %q", test.line, test.body, w.Code, w.Body, test.status,
				test.contains)
		}
		var problem struct {
			Title  string
			Status int
		}
		if known := test.contains != ""; w.Code >= 400 && known &&
			(json.Unmarshal(w.Body.Bytes(), &problem) != nil || problem.Status != w.Code ||
				problem.Title == "" || w.Header().Get("Content-Type") != "application/problem+json") {
			t.Errorf("%s: no problem detail: %s", test.line, w.Body)
		}
		if w.Code == 405 && len(w.Header().Values("Allow")) != 2 {
			t.Errorf("allowed are %v", w.Header().Values("Allow"))
		}
	}
	if !strings.Contains(log.String(), "no space left") {
		t.Errorf("the log does not say why: %s", &log)
	}
}

// A page that an operator looks at must not command the gateway on the same machine.
func TestForeignPages(t *testing.T) {
	hooks := webhookNames{"hook1": "http://a"}
	mux := http.NewServeMux()
	webhookRoutes(mux, hooks, slog.New(slog.DiscardHandler))
	for _, line := range []string{"POST /webhooks", "DELETE /webhooks/hook1", "PATCH /webhooks/hook1",
		"POST /webhooks/hook1/ping"} {
		method, path, _ := strings.Cut(line, " ")
		r := httptest.NewRequest(method, path, strings.NewReader(`{"name":"hook2"}`))
		r.Header.Set("Origin", "https://elsewhere.test")
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); w.Code != http.StatusForbidden || len(hooks) != 1 {
			t.Errorf("%s: %d, %v", line, w.Code, hooks)
		}
	}
}
