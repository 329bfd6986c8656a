package admin

import (
	"log/slog"
	"net"
	"net/http"
)

// Replications is what commands ask of the fleet's replicas. An error that is a Problem is told as it is.
type Replications interface {
	List() []Regional
	Get(name string) (Regional, error)
	Create(name string, c RegionalChange, by string) error
	Update(name string, c RegionalChange, by string) error
	Delete(name, by string) error
	Force(name string) error
	Reset(name string, keys []string, by string) error
	Changes() Changes
	Export() ([]byte, error)
}

// Reset is the body of POST /v1/replications/NAME/reset. No keys are all.
type Reset struct {
	Keys []string `json:"keys,omitempty"`
}

// Exported is the answer of GET /v1/config/export.
type Exported struct {
	File string `json:"file"` // YAML: the replicas in force
}

// regionalRoutes are those of replicas, in the shape that ARM gives them.
func regionalRoutes(mux *http.ServeMux, all Replications, log *slog.Logger) {
	add := guarded(mux, log)
	add("/v1/replications", map[string]action{
		http.MethodGet: func(http.ResponseWriter, *http.Request) (int, any, error) {
			return http.StatusOK, Regionals{all.List()}, nil
		},
	})
	add("/v1/replications/{name}", map[string]action{
		http.MethodGet: func(_ http.ResponseWriter, r *http.Request) (int, any, error) {
			return one(all, r, http.StatusOK, nil)
		},
		http.MethodPut: func(w http.ResponseWriter, r *http.Request) (int, any, error) {
			return change(w, r, all, http.StatusCreated, all.Create)
		},
		http.MethodPatch: func(w http.ResponseWriter, r *http.Request) (int, any, error) {
			return change(w, r, all, http.StatusOK, all.Update)
		},
		http.MethodDelete: func(_ http.ResponseWriter, r *http.Request) (int, any, error) {
			err := all.Delete(r.PathValue("name"), by(r))
			if err == nil && r.URL.Query().Get("force") == "true" {
				return http.StatusNoContent, nil, all.Force(r.PathValue("name"))
			}
			return one(all, r, http.StatusAccepted, err)
		},
	})
	add("/v1/replications/{name}/reset", map[string]action{
		http.MethodPost: func(w http.ResponseWriter, r *http.Request) (int, any, error) {
			var body Reset
			if err := decoder(w, r)(&body); err != nil {
				return 0, nil, err
			}
			return http.StatusNoContent, nil, all.Reset(r.PathValue("name"), body.Keys, by(r))
		},
	})
	add("/v1/config/export", map[string]action{
		http.MethodGet: func(http.ResponseWriter, *http.Request) (int, any, error) {
			data, err := all.Export()
			return http.StatusOK, Exported{string(data)}, err
		},
	})
	add("/v1/changes", map[string]action{
		http.MethodGet: func(http.ResponseWriter, *http.Request) (int, any, error) {
			return http.StatusOK, all.Changes(), nil
		},
	})
}

func change(w http.ResponseWriter, r *http.Request, all Replications, status int,
	do func(name string, c RegionalChange, by string) error) (int, any, error) {
	var c RegionalChange
	if err := decoder(w, r)(&c); err != nil {
		return 0, nil, err
	}
	return one(all, r, status, do(r.PathValue("name"), c, by(r)))
}

// one answers with the replica as it is now.
func one(all Replications, r *http.Request, status int, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	shown, err := all.Get(r.PathValue("name"))
	return status, shown, err
}

// by is who asks: this listener knows no names yet.
func by(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}
