package main

import (
	"bytes"
	"net/http"
	"os"
	"runtime/pprof"
)

// init has CPU profiles taken by whoever asks at the address that proxybench gives: POST /start, then POST /stop.
func init() {
	address := os.Getenv("PROXYBENCH_PROFILER")
	if address == "" {
		return
	}
	var profile bytes.Buffer
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, _ *http.Request) {
		profile.Reset()
		if err := pprof.StartCPUProfile(&profile); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		pprof.StopCPUProfile()
		_, _ = w.Write(profile.Bytes())
	})
	go func() { panic(http.ListenAndServe(address, mux)) }()
}
