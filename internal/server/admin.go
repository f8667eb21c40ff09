package server

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newAdmin serves what operators and orchestrators ask. It has no secrets, but
// listens on loopback unless it is told otherwise.
func newAdmin(s *Server, metrics prometheus.Gatherer) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "alive")
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
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

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
