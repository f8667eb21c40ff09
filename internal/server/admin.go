package server

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newAdmin serves what operators and orchestrators ask, and nobody else: profiles slow
// a process down, and tell about its inside. So it listens on loopback unless it is
// told otherwise.
func newAdmin(s *Server, metrics prometheus.Gatherer) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "alive")
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	// Not /debug/pprof/cmdline: the command line may have the database's password.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/build", build)
	return &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
}

// readyz names the checks that fail; why they fail is in the log, where errors
// may name hosts and tables.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	failing := s.readiness.Failing()
	switch {
	case s.draining.Load():
		answer(w, http.StatusServiceUnavailable, "draining")
	case len(failing) > 0:
		answer(w, http.StatusServiceUnavailable, "not ready: "+strings.Join(failing, ", "))
	default:
		answer(w, http.StatusOK, "ready")
	}
}

// build says what the process was built from.
func build(w http.ResponseWriter, _ *http.Request) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		answer(w, http.StatusNotFound, "this program does not know what it was built from")
		return
	}
	answer(w, http.StatusOK, info.String())
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
