package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/assembly"
	"orderflow/internal/clock"
	"orderflow/internal/crashpoint"
)

// system is a deployment as one test sees it: with the test's own customer, SKUs
// and orders.
type system struct {
	*deployment
	t        *testing.T
	customer string

	// The instances that calls go to; more of each may run.
	order, inventory *instance
	orderClient      orderv1.OrderServiceClient
	stockClient      inventoryv1.InventoryServiceClient

	skus         map[string]int64 // received, by SKU
	acknowledged chan string      // ids of the orders that were placed; see orderIDs
	known        []string
	restored     bool // inventory's database was, and knows less than order-srv
}

// customers numbers the tests, so that each has its own customer and SKUs.
var customers atomic.Int64

func viewOf(t *testing.T, d *deployment) *system {
	name, _, _ := strings.Cut(t.Name(), "/")
	return &system{
		deployment: d, t: t,
		customer: fmt.Sprintf("c%d-%.40s", customers.Add(1), name),
		skus:     map[string]int64{}, acknowledged: make(chan string, 10_000),
	}
}

// newDeployment makes a deployment of the test's own, on which nothing runs. It
// is closed with the test; a service that does not end well then is a failure.
func newDeployment(t *testing.T, on stack, p plan) *system {
	t.Helper()
	d, err := deploy(t.Context(), on, t.ArtifactDir(), p)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := d.close(ctx); err != nil {
			t.Errorf("end the system: %v", err)
		}
	})
	s := viewOf(t, d)
	s.logsOnFailure()
	s.must(err)
	return s
}

// newSystem is a new deployment with one order-srv and one inventory-srv, ready.
func newSystem(t *testing.T, on stack) *system {
	t.Helper()
	s := newDeployment(t, on, plan{})
	s.startBoth()
	return s
}

// startBoth starts one of each service and waits until they are ready.
func (s *system) startBoth() {
	s.t.Helper()
	s.useOrder(s.startOrder())
	s.useInventory(s.startInventory())
	s.waitReady(s.order, s.inventory)
}

func (s *system) logsOnFailure() {
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Log(s.logTail(60))
		}
	})
}

// must ends the test on an error.
func (s *system) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// startOrder starts an order-srv with more settings, such as --payment-window=1m.
func (s *system) startOrder(more ...string) *instance {
	s.t.Helper()
	return s.startService(assembly.OrderService, orderSettings(more...))
}

// startInventory starts an inventory-srv that asks the system's order-srv.
func (s *system) startInventory(more ...string) *instance {
	s.t.Helper()
	return s.startService(assembly.InventoryService, inventorySettings(s.order, more...))
}

func orderSettings(more ...string) []string {
	return append([]string{"--payment-window=" + tenMinutes.String()}, more...)
}

func inventorySettings(order *instance, more ...string) []string {
	return append([]string{"--order-service=" + order.GRPC()}, more...)
}

func (s *system) startService(service assembly.Service, settings []string) *instance {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), startTimeout)
	defer cancel()
	i, err := s.start(ctx, service, settings...)
	s.must(err)
	return i
}

// restart starts the successor of an instance that has ended: at the same
// address, without the crash point.
func (s *system) restart(i *instance, more ...string) *instance {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), startTimeout)
	defer cancel()
	next, err := s.launch(ctx, i.again(more...))
	s.must(err)
	return next
}

// waitReady waits until the instances are ready.
func (s *system) waitReady(instances ...*instance) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), startTimeout)
	defer cancel()
	for _, i := range instances {
		s.must(i.WaitReady(ctx))
	}
}

// stop ends an instance with SIGTERM; it must end well.
func (s *system) stop(i *instance) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), stopTimeout)
	defer cancel()
	s.must(i.Stop(ctx))
}

// useOrder makes calls of OrderService go to the instance.
func (s *system) useOrder(i *instance) {
	s.t.Helper()
	s.order, s.orderClient = i, orderv1.NewOrderServiceClient(s.dial(i.GRPC()))
}

// replicas are the instances of a service that run.
func (s *system) replicas(service assembly.Service) (all []*instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.instances {
		if i.service == service && i.runs() {
			all = append(all, i)
		}
	}
	return all
}

// otherOrder is a client of another order-srv than the one that calls go to, if more
// than one runs.
func (s *system) otherOrder() orderv1.OrderServiceClient {
	s.t.Helper()
	for _, i := range s.replicas(assembly.OrderService) {
		if i.GRPC() != s.order.GRPC() {
			return orderv1.NewOrderServiceClient(s.dial(i.GRPC()))
		}
	}
	return s.orderClient
}

// useInventory makes calls of InventoryService go to the instance.
func (s *system) useInventory(i *instance) {
	s.t.Helper()
	s.inventory, s.stockClient = i, inventoryv1.NewInventoryServiceClient(s.dial(i.GRPC()))
}

// dial returns a connection that notices soon when a service is back.
func (s *system) dial(address string) *grpc.ClientConn {
	s.t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, MaxDelay: 300 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}))
	s.must(err)
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// kills arms a crash point: the setting for startOrder or startInventory.
func kills(at crashpoint.Name) string { return "--crash-point=" + string(at) + "=kill" }

// pauses arms a crash point at which the service waits while the file exists.
func pauses(at crashpoint.Name, file string) string {
	return "--crash-point=" + string(at) + "=pause:" + file
}

// A condition is looked at often in the beginning, and then every pollInterval.
const (
	pollInterval = 50 * time.Millisecond
	firstPoll    = 2 * time.Millisecond
)

// eventually waits until look finds nothing missing any more; else it ends the
// test with what was missing last.
func (s *system) eventually(timeout time.Duration, look func() (missing string)) {
	s.t.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for pause := firstPoll; ; pause = min(2*pause, pollInterval) {
		missing := look()
		if missing == "" {
			return
		}
		select {
		case <-deadline.C:
			s.t.Fatalf("after %s: %s", timeout, missing)
		case <-s.t.Context().Done():
			s.t.Fatalf("the test was ended: %s", missing)
		case <-time.After(pause):
		}
	}
}

// clock is what the system goes by.
func (s *system) clock() clock.Clock {
	if s.embedded != nil {
		return s.embedded.Broker().Clock()
	}
	return clock.System{}
}

func (s *system) now() time.Time { return s.clock().Now() }

// until returns at the moment.
func (s *system) until(moment time.Time) {
	select {
	case <-time.After(moment.Sub(s.now())):
	case <-s.t.Context().Done():
	}
}
