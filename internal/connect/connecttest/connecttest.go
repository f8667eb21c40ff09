// Package connecttest runs replicas of a service that say no more than how they are.
package connecttest

import (
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// Replica is a gRPC server that only has a health service.
type Replica struct {
	Address string
	Health  *health.Server // what it answers; at first that it serves
	Stop    func()         // ends it, and may be called twice
}

// NewReplica starts a replica; it ends with the test at the latest.
func NewReplica(t *testing.T) *Replica {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, answers := grpc.NewServer(), health.NewServer()
	healthv1.RegisterHealthServer(srv, answers)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(listener) // ends with Stop
	}()
	r := &Replica{Address: listener.Addr().String(), Health: answers, Stop: sync.OnceFunc(func() { srv.Stop(); <-ended })}
	t.Cleanup(r.Stop)
	return r
}
