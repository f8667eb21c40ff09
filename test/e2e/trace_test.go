package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/telemetry/telemetrytest"
)

// newTraced is a new system with the times of production, whose services send their
// traces to a collector.
func newTraced(t *testing.T, on stack) (*system, *telemetrytest.Collector) {
	t.Helper()
	collector := telemetrytest.NewCollector(t) // ends after the services
	s := newDeployment(t, on, plan{brokerOptions: []devbroker.Option{
		devbroker.WithDelayLevels("1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"),
		devbroker.WithTransactionTimeout(24 * time.Hour), devbroker.WithCheckInterval(24 * time.Hour),
	}})
	to := "--otlp-endpoint=" + collector.URL()
	s.useOrder(s.startOrder("--payment-window="+halfAnHour.String(), "--sweep-interval=50ms", to))
	s.useInventory(s.startInventory(to))
	return s, collector
}

// The names of calls in traces.
const (
	callCreate = "order.v1.OrderService/CreateOrder"
	callClose  = "order.v1.OrderService/CloseIfUnpaid"
)

// ofPlacing is the trace of an order that is placed and reserved.
const ofPlacing = callCreate + `
  send order-events
    commit order-events
    execute order-events
      transaction
` + ofReserving + `  send order-timeouts
`

// ofReserving is what follows from a `created`.
const ofReserving = `    process order-events
      reserve
      send stock-events
        process stock-events
          confirm
`

// ofTimer is the trace of the timer of an order that nobody has paid. Both the timer and
// the event give the stock back and tell it: one of them does it.
const ofTimer = `process order-timeouts
  ` + callClose + `
    ` + callClose + `
      send order-events
        commit order-events
        execute order-events
          transaction
        process order-events
          release
          send stock-events
            process stock-events
  release
  send stock-events
    process stock-events
`

// An order that nobody pays: one trace leads from the call to RESERVED, and another one,
// which is linked to it, from the timer to the stock that was given back.
func TestTraceOfAnUnpaidOrder(t *testing.T) {
	onStacks(t, needs{aClockToPush}, func(t *testing.T, on stack) {
		s, collector := newTraced(t, on)
		tea := s.stocked("tea", 10)
		o := s.waitStatus(s.place(halfAnHour, line(tea, 4)), reserved)
		s.pushTo(o.GetExpiresAt().AsTime())
		s.waitClosed(o, timedOut)
		s.waitStock(tea, 10, 0, 0)
		s.eventually(waitTimeout, s.unsettled)
		s.audit()

		placing := s.waitTrace(collector, o, callCreate, func(tr telemetrytest.Trace) string { return cmp.Diff(ofPlacing, tr.Names()) })
		timer := s.waitTrace(collector, o, "process order-timeouts", func(tr telemetrytest.Trace) string {
			names, once := eitherReleases(tr)
			if !once {
				return "the stock is not given back and confirmed once:\n" + tr.String()
			}
			return cmp.Diff(ofTimer, names)
		})
		s.wantLinked(timer, placing, "send order-timeouts")
		s.wantRightSpans(o, placing, timer)
	})
}

// eitherReleases are the names of a timer's trace, in which it is open who gives the
// stock back and who says it again, and whose word order-srv hears first; once tells that
// each is done once.
func eitherReleases(tr telemetrytest.Trace) (names string, once bool) {
	var kept []string
	for _, name := range strings.SplitAfter(tr.Names(), "\n") {
		if strings.TrimSpace(name) != "confirm" {
			kept = append(kept, strings.Replace(name, "repeat", "release", 1))
		}
	}
	confirmed := slices.DeleteFunc(tr.Named("confirm"), func(s telemetrytest.Span) bool { return s.Attributes["orderflow.overtaken"] == "true" })
	once = len(tr.Named("release")) == 1 && len(tr.Named("repeat")) == 1 && len(confirmed) == 1
	return strings.Join(kept, ""), once
}

// The event of an order gets lost, and the sweeper sends it again: the trace of that
// leads to RESERVED, and is linked to the call that placed the order.
func TestTraceOfAnOrderThatTheSweeperHeals(t *testing.T) {
	onStacks(t, needs{aClockToPush}, func(t *testing.T, on stack) {
		s, collector := newTraced(t, on)
		tea := s.stocked("tea", 10)
		s.stop(s.inventory)
		o := s.place(halfAnHour, line(tea, 4))
		s.loseTopic(s.names.OrderEvents)
		s.useInventory(s.restart(s.inventory))
		s.push(2 * time.Minute)
		s.waitStatus(o, reserved)
		s.audit()

		placing := s.waitTrace(collector, o, callCreate, func(tr telemetrytest.Trace) string {
			return cmp.Diff(strings.Replace(ofPlacing, ofReserving, "", 1), tr.Names())
		})
		healing := s.waitTrace(collector, o, "sweep order", func(tr telemetrytest.Trace) string {
			want := strings.Replace(strings.Replace(ofPlacing, callCreate, "sweep order", 1), "  send order-timeouts\n", "", 1)
			return cmp.Diff(want, tr.Names())
		})
		s.wantLinked(healing, placing, callCreate)
		s.wantRightSpans(o, placing, healing)
	})
}

// The commit of a half message gets lost, and the broker asks: the question is a trace of
// its own, and the order goes on in its own one.
func TestTraceOfACheckBack(t *testing.T) {
	onStacks(t, needs{aFailingBroker}, func(t *testing.T, on stack) {
		s, collector := newTraced(t, on)
		tea := s.stocked("tea", 10)
		lost := s.loseCommit()
		o := s.place(halfAnHour, line(tea, 4))
		s.waitHalf(lost, o)
		s.checkBack()
		s.waitStatus(o, reserved)
		s.audit()

		placing := s.waitTrace(collector, o, callCreate, func(tr telemetrytest.Trace) string { return cmp.Diff(ofPlacing, tr.Names()) })
		check := s.waitTrace(collector, o, "check order-events", func(telemetrytest.Trace) string { return "" })
		s.wantLinked(check, placing, "send order-events")
		if answer := check.Root.Attributes["orderflow.answer"]; answer != "commit" {
			t.Errorf("the answer is %q", answer)
		}
	})
}

// Traces go to where nobody listens: orders are placed, reserved and sold as ever, and the
// services end in time.
func TestNobodyWaitsForTheTraceCollector(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		const nowhere = "--otlp-endpoint=http://127.0.0.1:1"
		s.useOrder(s.startOrder(nowhere))
		s.useInventory(s.startInventory(nowhere))
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)
		for range 10 {
			s.wantPaid(s.pay(s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)))
		}
		s.waitStock(tea, 0, 0, 10)
		s.audit()
		s.stop(s.inventory)
		s.stop(s.order)
	})
}

// waitTrace waits until the collector has a trace about the order that begins with a span
// of the name and in which nothing is missing; it logs the trace as a tree. On a busy
// machine a delivery may fail, and come again in a trace of its own.
func (s *system) waitTrace(c *telemetrytest.Collector, o *orderv1.Order, root string, missing func(telemetrytest.Trace) string) (found telemetrytest.Trace) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		last := fmt.Sprintf("no trace about the order begins with %q", root)
		for _, tr := range c.Traces() {
			if tr.Root.Name != root || !tr.IsAbout(o.GetOrderId()) {
				continue
			}
			if last = missing(tr); last == "" {
				found = tr
				break
			}
		}
		return last
	})
	s.t.Logf("trace %s of order %s:\n%s", found.ID[:8], o.GetOrderId(), found)
	return found
}

// wantLinked checks that a trace begins with one link, to the span of the name in another.
func (s *system) wantLinked(later, first telemetrytest.Trace, name string) {
	s.t.Helper()
	from := first.Named(name)
	if links := later.Root.Links; len(from) != 1 || len(links) != 1 || links[0] != (telemetrytest.Link{TraceID: first.ID, ID: from[0].ID}) ||
		later.ID == first.ID {
		s.t.Errorf("trace %s has links %v, want one to %q in trace %s", later.ID, links, name, first.ID)
	}
}

// wantRightSpans checks what each span of the traces must be.
func (s *system) wantRightSpans(o *orderv1.Order, traces ...telemetrytest.Trace) {
	s.t.Helper()
	for _, tr := range traces {
		for _, span := range tr.Spans() {
			if span.Failed {
				s.t.Errorf("%s has failed: %v", span.Name, span.Attributes)
			}
			if id := span.Attributes["orderflow.order_id"]; id != o.GetOrderId() && span.Name != "transaction" && span.Name != callClose {
				s.t.Errorf("%s is about order %q, want %s", span.Name, id, o.GetOrderId())
			}
			if span.Resource["service.version"] == "" || span.Resource["service.instance.id"] == "" {
				s.t.Errorf("%s comes from %v", span.Name, span.Resource)
			}
			for key, value := range span.Attributes {
				if strings.Contains(value, s.customer) || strings.Contains(strings.ToUpper(value), "SELECT ") {
					s.t.Errorf("%s has %s = %q: a trace shows nothing of customers but ids, and no SQL", span.Name, key, value)
				}
			}
		}
	}
}
