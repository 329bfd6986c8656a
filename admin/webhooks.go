package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
)

// Webhooks is what can be done with subscriptions. What it takes and returns is its own affair: here it is JSON. An
// error that is a Problem is the caller's fault.
type Webhooks interface {
	List() any
	Get(name string) (any, error)
	Create(decode func(into any) error) (any, error)
	Update(name string, decode func(into any) error) (any, error)
	Delete(name string) error
	Ping(name string) (Pinged, error)
	Events(name string) (any, error)
}

// Pinged is the answer to a ping: the ID of its event.
type Pinged struct {
	ID string `json:"id"`
}

// Problem is why something is not done.
type Problem struct {
	Status int
	Detail string
}

func (p Problem) Error() string { return p.Detail }

// maxBody is more than any subscription has.
const maxBody = 64 << 10

// ownPages refuses requests of pages of another origin. A page in an operator's browser may send requests to loopback.
func ownPages() *http.CrossOriginProtection {
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, Problem{http.StatusForbidden, "a page of another origin may not do this"})
	}))
	return own
}

// guarded adds routes that change something, for nobody's pages but our own.
func guarded(mux *http.ServeMux, log *slog.Logger) func(path string, methods map[string]action) {
	own := ownPages()
	return func(path string, methods map[string]action) {
		mux.Handle(path, own.Handler(perform(methods, log)))
	}
}

func webhookRoutes(mux *http.ServeMux, hooks Webhooks, log *slog.Logger) {
	handle := guarded(mux, log)
	name := func(r *http.Request) string { return r.PathValue("name") }
	handle("/webhooks", map[string]action{
		http.MethodGet: func(http.ResponseWriter, *http.Request) (int, any, error) {
			return http.StatusOK, hooks.List(), nil
		},
		http.MethodPost: func(w http.ResponseWriter, r *http.Request) (int, any, error) {
			out, err := hooks.Create(decoder(w, r))
			return http.StatusCreated, out, err
		},
	})
	handle("/webhooks/{name}", map[string]action{
		http.MethodGet: func(_ http.ResponseWriter, r *http.Request) (int, any, error) {
			out, err := hooks.Get(name(r))
			return http.StatusOK, out, err
		},
		http.MethodPatch: func(w http.ResponseWriter, r *http.Request) (int, any, error) {
			out, err := hooks.Update(name(r), decoder(w, r))
			return http.StatusOK, out, err
		},
		http.MethodDelete: func(_ http.ResponseWriter, r *http.Request) (int, any, error) {
			return http.StatusNoContent, nil, hooks.Delete(name(r))
		},
	})
	handle("/webhooks/{name}/ping", map[string]action{
		http.MethodPost: func(_ http.ResponseWriter, r *http.Request) (int, any, error) {
			out, err := hooks.Ping(name(r))
			return http.StatusAccepted, out, err
		},
	})
	handle("/webhooks/{name}/events", map[string]action{
		http.MethodGet: func(_ http.ResponseWriter, r *http.Request) (int, any, error) {
			out, err := hooks.Events(name(r))
			return http.StatusOK, out, err
		},
	})
}

// action returns what to answer: a status and what is shown, nil for nothing.
type action func(http.ResponseWriter, *http.Request) (status int, shown any, err error)

func perform(methods map[string]action, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		do, ok := methods[r.Method]
		if !ok {
			for method := range methods {
				w.Header().Add("Allow", method)
			}
			writeProblem(w, Problem{http.StatusMethodNotAllowed, "this cannot be done with it"})
			return
		}
		status, shown, err := do(w, r)
		var fault Problem
		switch {
		case errors.As(err, &fault):
			writeProblem(w, fault)
		case err != nil:
			log.Error("a command failed", "method", r.Method, "path", r.URL.Path, "error", err)
			writeProblem(w, Problem{http.StatusInternalServerError, "the gateway's log says why"})
		case shown == nil:
			w.WriteHeader(status)
		default:
			writeJSONAs(w, status, shown)
		}
	})
}

// decoder reads a body that is one JSON value without anything that is not known.
func decoder(w http.ResponseWriter, r *http.Request) func(into any) error {
	return decoderOf(w, r, maxBody)
}

// decoderOf is of a body of at most so many bytes.
func decoderOf(w http.ResponseWriter, r *http.Request, most int64) func(into any) error {
	return func(into any) error {
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
		d.DisallowUnknownFields()
		err := d.Decode(into)
		if err == nil {
			if _, err = d.Token(); err == nil {
				err = errors.New("more than one value")
			} else if errors.Is(err, io.EOF) {
				err = nil
			}
		}
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			return Problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("a body may have %d bytes", most)}
		case err != nil:
			return Problem{http.StatusBadRequest, "the body cannot be read: " + err.Error()}
		}
		return nil
	}
}
