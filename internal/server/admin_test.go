package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

func TestAdminHasProfiles(t *testing.T) {
	r := start(t, func(context.Context) error { return nil })
	for path, want := range map[string]string{
		"/debug/pprof/":                  "heap",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/debug/build":                   "orderflow",
	} {
		if code, body := r.admin(t, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, without %q:\n%.200s", path, code, want, body)
		}
	}
}

// The command line may have the database's password in it.
func TestAdminHidesTheCommandLine(t *testing.T) {
	r := start(t, func(context.Context) error { return nil })
	for _, path := range []string{"/debug/pprof/cmdline", "/debug/vars"} {
		if code, body := r.admin(t, path); code != http.StatusNotFound {
			t.Errorf("%s: %d %.200s", path, code, body)
		}
	}
}

// Whoever may call the API may not look inside the process, also not by HTTP/2.
func TestTheAPIPortHasNoProfiles(t *testing.T) {
	r := start(t, func(context.Context) error { return nil })
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/debug/pprof/", "/debug/build", "/metrics", "/healthz"} {
		response, err := client.Get("http://" + r.Addr() + path)
		if err != nil {
			continue // refused in gRPC's own way
		}
		if response.StatusCode == http.StatusOK && response.Header.Get("Grpc-Status") == "" {
			t.Errorf("%s answers %s", path, response.Status)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	if response, err := http.Get("http://" + r.Addr() + "/debug/pprof/"); err == nil {
		_ = response.Body.Close()
		t.Errorf("HTTP/1 answers %s", response.Status)
	}
}

func TestCallsAreCountedByMethodAndCode(t *testing.T) {
	panics := true
	r := start(t, func(context.Context) error {
		if panics {
			panic("boom")
		}
		return nil
	})
	_ = r.get(t.Context())
	panics = false
	_ = r.get(t.Context())
	_, body := r.admin(t, "/metrics")
	const method = `grpc_method="GetOrder",grpc_service="order.v1.OrderService",grpc_type="unary"`
	for _, want := range []string{
		`grpc_server_started_total{` + method + `} 2`,
		`grpc_server_handled_total{grpc_code="Internal",` + method + `} 1`, // a panic is an outcome, too
		`grpc_server_handled_total{grpc_code="OK",` + method + `} 1`,
		`grpc_server_handled_total{grpc_code="Aborted",` + method + `} 0`, // there before the first one
		`grpc_server_handling_seconds_count{` + method + `} 2`,
		`grpc_server_msg_received_total{` + method + `} 2`,
		`grpc_server_msg_sent_total{` + method + `} 2`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}
