package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/assembly"
)

// Orders are placed before inventory-srv has ever run: its group begins with the
// oldest message.
func TestT60InventoryIsStartedAfterTheOrders(t *testing.T) {
	onStacks(t, needs{anUnreadyService}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		s.useOrder(s.startOrder())
		s.waitReady(s.order)
		// Goods come in through an inventory-srv that has no topics to consume.
		s.useInventory(s.startInventory("--topic-prefix=" + s.prefix + "none-"))
		tea := s.stocked("tea", 100)
		s.stop(s.inventory)

		var orders []*orderv1.Order
		for range 20 {
			orders = append(orders, s.place(tenMinutes, line(tea, 2)))
		}
		s.useInventory(s.startInventory())
		for _, o := range orders {
			s.waitStatus(o, reserved)
		}
		s.waitStock(tea, 60, 40, 0)
		s.audit()
	})
}

// The services are up before their topics: they say that they are not ready, and
// are by themselves as soon as the topics exist.
func TestT61TopicsAreMadeAfterTheStart(t *testing.T) {
	onStacks(t, needs{anUnreadyService}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{noTopics: true})
		s.useOrder(s.startOrder())
		s.useInventory(s.startInventory())
		for _, i := range []*instance{s.order, s.inventory} {
			s.eventually(startTimeout, func() string {
				code, text := s.readyz(i)
				if code != http.StatusServiceUnavailable || !strings.Contains(text, s.names.OrderEvents) {
					return "readyz does not miss the topic: " + text
				}
				return ""
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := s.create(ctx, s.request(tenMinutes, line(s.sku("tea"), 1)))
		s.wantUnavailable(err)

		s.must(s.makeTopics(t.Context()))
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)
		s.waitStatus(s.place(tenMinutes, line(tea, 4)), reserved)
		s.waitStock(tea, 6, 4, 0)
		s.audit()
	})
}

func TestASchemaThatIsTooOldIsRefused(t *testing.T) {
	onStacks(t, needs{anUnreadyService}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{noSchema: true, noTopics: true})
		for _, service := range bothServices() {
			s.wantRefusal(service, nil, string(service)+" migrate")
		}
	})
}

func TestAPaymentWindowThatTheBrokerLacksIsRefused(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		s.wantRefusal(assembly.OrderService, []string{"--payment-window=7s"}, "7s", "1s, 2s, 3s, 5s, 10s, 20s, 1m, 10m")
	})
}

// wantRefusal starts a service that must end by itself, with an error that has the
// texts.
func (s *system) wantRefusal(service assembly.Service, settings []string, texts ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), startTimeout)
	defer cancel()
	err := s.services.refusal(ctx, service, settings)
	if err == nil || ctx.Err() != nil {
		s.t.Fatalf("%s: got %v, want a refusal", service, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			s.t.Errorf("%s does not say %q:\n%v", service, text, err)
		}
	}
}

// readyz is what an instance says of its readiness.
func (s *system) readyz(i *instance) (code int, text string) {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Admin()+"/readyz", nil)
	s.must(err)
	response, err := http.DefaultClient.Do(request)
	s.must(err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	s.must(err)
	return response.StatusCode, string(body)
}

// codeOf is the gRPC code of an error.
func codeOf(err error) codes.Code { return status.Code(err) }
