package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/crashpoint"
	"orderflow/internal/event"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/telemetry/telemetrytest"
)

// newTraced is a new system whose services send their traces to a collector; with the
// times of production, where the clock can be pushed. order-srv may have more settings.
func newTraced(t *testing.T, on stack, p plan, settings ...string) (*system, *telemetrytest.Collector) {
	t.Helper()
	collector := telemetrytest.NewCollector(t) // ends after the services
	p.brokerOptions = []devbroker.Option{
		devbroker.WithDelayLevels("1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"),
		devbroker.WithTransactionTimeout(24 * time.Hour), devbroker.WithCheckInterval(24 * time.Hour),
	}
	s := newDeployment(t, on, p)
	to := "--otlp-endpoint=" + collector.URL()
	if on.has(aClockToPush) {
		settings = append(settings, "--payment-window="+halfAnHour.String(), "--sweep-interval=50ms")
	}
	s.useOrder(s.startOrder(append(settings, to)...))
	s.useInventory(s.startInventory(to))
	s.waitReady(s.order, s.inventory)
	return s, collector
}

// The names of spans that begin traces.
const (
	callCreate = "order.v1.OrderService/CreateOrder"
	callClose  = "order.v1.OrderService/CloseIfUnpaid"
	callReplay = "parked.v1.ParkedService/ReplayParked"
	sweepOrder = "sweep order"
)

// sending is what sending an event comes to, up to its end.
const sending = `  send order-events
    commit order-events
    execute order-events
      transaction
`

// reserving is what follows from a `created`.
const reserving = `process order-events
  reserve
  send stock-events
    process stock-events
      confirm
`

// ofReserving is that within the trace that sent it.
var ofReserving = indented(reserving, 4)

// ofPlacing is the trace of an order that is placed and reserved.
var ofPlacing = callCreate + "\n" + sending + ofReserving + "  send order-timeouts\n"

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

// ofReplaying is the replay of a timer after which there is nothing to give back.
const ofReplaying = callReplay + `
  replay order-timeouts
    ` + callClose + `
      ` + callClose + `
    ignore
`

// An order that nobody pays: one trace leads from the call to RESERVED, and another one,
// which is linked to it, from the timer to the stock that was given back.
func TestTraceOfAnUnpaidOrder(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s, collector := newTraced(t, on, plan{})
		tea := s.stocked("tea", 10)
		var o *orderv1.Order
		if on.has(aClockToPush) {
			o = s.waitStatus(s.place(halfAnHour, line(tea, 4)), reserved)
			s.pushTo(o.GetExpiresAt().AsTime())
		} else {
			o = s.waitStatus(s.place(later, line(tea, 4)), reserved)
		}
		s.waitClosed(o, timedOut)
		s.waitStock(tea, 10, 0, 0)
		s.eventually(waitTimeout, s.unsettled)
		s.audit()

		placing := s.waitTrace(collector, o, callCreate, s.form(ofPlacing))
		either := s.form(ofTimer)
		either.Alike = map[string]string{"repeat": "release", "confirm": ""} // whose word is heard first
		timer := s.waitTrace(collector, o, "process order-timeouts", either)
		s.wantLinked(timer, placing, "send order-timeouts")
		s.wantRightSpans(o, placing, timer)
		s.wantOnce(collector, o, "reserve", "release")
		s.wantNoStrays(collector, o)
	})
}

// The event of an order gets lost, and the sweeper sends it again: the trace of that
// leads to RESERVED, and is linked to the call that placed the order.
func TestTraceOfAnOrderThatTheSweeperHeals(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		placed, settings := 1, []string(nil)
		if !on.has(singleDelivery) { // what was lost may come again, late, and heal an order
			placed, settings = 3, sweeping("--resend-after=1s")
		}
		s, collector := newTraced(t, on, plan{}, settings...)
		tea := s.stocked("tea", 10)
		s.stop(s.inventory)
		var orders []*orderv1.Order
		for range placed {
			orders = append(orders, s.place(tenMinutes, line(tea, 2)))
		}
		s.loseTopic(s.names.OrderEvents)
		s.useInventory(s.restart(s.inventory))
		if on.has(aClockToPush) {
			s.push(2 * time.Minute)
		}
		for _, o := range orders {
			s.waitStatus(o, reserved)
		}
		s.audit()

		var o *orderv1.Order
		var placing, healing telemetrytest.Trace
		s.eventually(waitTimeout, func() (missing string) {
			for _, o = range orders {
				var cut, whole string
				placing, cut = findTrace(collector, o, callCreate, s.form(strings.Replace(ofPlacing, ofReserving, "", 1)))
				healing, whole = findTrace(collector, o, sweepOrder, s.form(sweepOrder+"\n"+sending+ofReserving))
				if missing = cut + whole; missing == "" {
					break
				}
			}
			return missing
		})
		t.Logf("order %s:\n%s%s", o.GetOrderId(), placing, healing)
		s.wantLinked(healing, placing, callCreate)
		s.wantRightSpans(o, placing, healing)
		s.wantNoStrays(collector, o)
	})
}

// The commit of a half message gets lost, and the broker asks: the question is a trace of
// its own, and the order goes on in its own one.
func TestTraceOfACheckBack(t *testing.T) {
	onStacks(t, needs{aFailingBroker}, func(t *testing.T, on stack) {
		s, collector := newTraced(t, on, plan{})
		tea := s.stocked("tea", 10)
		lost := s.loseCommit()
		o := s.place(halfAnHour, line(tea, 4))
		s.waitHalf(lost, o)
		s.checkBack()
		s.waitStatus(o, reserved)
		s.audit()
		s.wantCheckBack(collector, o)
	})
}

// The broker asks while the commit is on its way, and delivers the event twice: both
// deliveries are part of the order's trace, the first one has the effect.
func TestTraceOfAnEventThatIsCommittedTwice(t *testing.T) {
	onStacks(t, needs{aBrokerToKill}, func(t *testing.T, on stack) {
		file := filepath.Join(t.TempDir(), "paused")
		s, collector := newTraced(t, on, plan{}, pauses(crashpoint.OrderAfterCommit, file))
		tea := s.stocked("tea", 10)
		request := s.committedTwice(file, tea)
		o := s.waitStatus(s.send(request), reserved)
		s.waitMetric(2, "mq_messages_handled_total", []string{s.names.InventoryOrderEvents}, s.inventory)
		s.audit()

		s.wantCheckBack(collector, o)
		s.eventually(waitTimeout, func() string {
			placing, lacks := findTrace(collector, o, callCreate, s.form(ofPlacing))
			if n := len(placing.Named("process " + s.names.OrderEvents)); lacks == "" && n < 2 {
				lacks = fmt.Sprintf("the trace has %d deliveries, want 2", n)
			}
			return lacks
		})
		s.wantOnce(collector, o, "reserve")
		s.wantNoStrays(collector, o)
	})
}

// wantCheckBack checks that an order's trace is whole, and that the broker's question
// about it is linked to it.
func (s *system) wantCheckBack(c *telemetrytest.Collector, o *orderv1.Order) {
	s.t.Helper()
	placing := s.waitTrace(c, o, callCreate, s.form(ofPlacing))
	check := s.waitTrace(c, o, "check order-events", s.form("check order-events\n"))
	s.wantLinked(check, placing, "send order-events")
	if answer := check.Root.Attributes["orderflow.answer"]; answer != "commit" {
		s.t.Errorf("the answer is %q", answer)
	}
}

// Inventory cannot handle the event, and gets it again: that is a trace of its own, which
// leads to RESERVED and is linked to whoever sent the event.
func TestTraceOfARedelivery(t *testing.T) {
	onStacks(t, needs{aDatabaseToCut}, func(t *testing.T, on stack) {
		db := newProxy(t, mysqlAddress(t))
		s, collector := newTraced(t, on, plan{inventoryURL: db.behind})
		tea := s.stocked("tea", 10)
		db.set(cutOff)
		o := s.place(tenMinutes, line(tea, 4))
		s.waitMetric(1, "mq_messages_handled_total", []string{s.names.InventoryOrderEvents, "retry"}, s.inventory)
		db.set(passing)
		s.waitStatus(o, reserved)
		s.audit()

		form := s.form(reserving)
		if form.Copies { // another copy of the event may have come when the database was back
			form.Alike["repeat"] = "reserve"
		}
		again := s.waitTrace(collector, o, "process order-events", form)
		var placing telemetrytest.Trace
		for _, tr := range collector.Traces() {
			if tr.Root.Name == callCreate && again.LinksTo(tr) {
				placing = tr
			}
		}
		s.wantLinked(again, placing, "send order-events")
		if first := placing.Named("process " + s.names.OrderEvents); len(first) == 0 || !first[0].Failed {
			t.Errorf("the first deliveries are %v, want a failed one before all others", first)
		}
		if again.Root.Attributes["orderflow.delivery.attempt"] < "2" {
			t.Errorf("the delivery is %v", again.Root.Attributes)
		}
		s.wantOnce(collector, o, "reserve")
		s.wantNoStrays(collector, o)
	})
}

// A parked message keeps the span that sent it, in the broker and in the database: its
// replay is part of the operator's call, and linked to it.
func TestTraceOfAReplay(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s, collector := newTraced(t, on, plan{})
		tea, id := s.stocked("tea", 10), s.ghost()
		const sender = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		from := telemetrytest.Link{TraceID: sender[3:35], ID: sender[36:52]}
		s.expectParked(id, reasonUnknownOrder)
		s.expectParked(id, "RESERVATION_NO_ORDER")
		e := orderEvent(id, s.now().Add(tenMinutes), &eventv1.Line{Sku: tea, Quantity: 4})
		s.inject(s.orderEvents(event.TagCreated, e))
		s.waitStock(tea, 6, 4, 0)
		ghost := &orderv1.Order{OrderId: id, ExpiresAt: timestamppb.New(s.now().Add(-time.Second))}
		overdue := s.timer(ghost)
		overdue.Properties = map[string]string{"traceparent": sender}
		s.inject(overdue)
		timer := s.findParked(s.parkedAt(s.inventory), id, "RESERVATION_NO_ORDER")[0]
		s.inject(s.orderEvents(event.TagClosed, e))
		s.waitStock(tea, 10, 0, 0)
		s.orderctl(0, "parked", "replay", timer.GetId())
		s.audit()

		replay := s.waitTrace(collector, ghost, callReplay, s.form(ofReplaying))
		again := replay.Named("replay " + s.names.OrderTimeouts)
		if len(again) != 1 || !slices.Equal(again[0].Links, []telemetrytest.Link{from}) {
			t.Errorf("the replay has no link to %v", from)
		}
		s.eventually(waitTimeout, func() string {
			for _, span := range collector.Spans() {
				if span.Name == "process "+s.names.OrderTimeouts && span.TraceID == from.TraceID && span.ParentID == from.ID {
					return ""
				}
			}
			return "the first delivery is not in the trace of the sender"
		})
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

// form is a trace's form by the names of the system's topics. Where a message may come
// twice, order-srv may hear of the second one first, and confirm that.
func (s *system) form(tree string) telemetrytest.Form {
	f := telemetrytest.Form{Tree: s.named(tree), Copies: !s.on.has(singleDelivery)}
	if f.Copies {
		f.Alike = map[string]string{"confirm": ""}
	}
	return f
}

// named is a text by the names of the system's topics.
func (s *system) named(text string) string {
	return strings.NewReplacer("order-events", s.names.OrderEvents, "order-timeouts", s.names.OrderTimeouts, "stock-events", s.names.StockEvents).Replace(text)
}

// indented is a text with so many spaces before each line.
func indented(text string, spaces int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Repeat(" ", spaces) + line)
	}
	return b.String()
}

// findTrace finds a trace about the order that begins with a span of the name and has the
// form, or says what the last one lacks.
func findTrace(c *telemetrytest.Collector, o *orderv1.Order, root string, form telemetrytest.Form) (found telemetrytest.Trace, lacks string) {
	lacks = fmt.Sprintf("no trace about the order begins with %q", root)
	for _, tr := range c.Traces() {
		if tr.Root.Name == root && tr.IsAbout(o.GetOrderId()) {
			if lacks = form.Lacks(tr); lacks == "" {
				return tr, ""
			}
		}
	}
	return found, lacks
}

// waitTrace waits until the collector has a trace about the order that begins with a span
// of the name and has the form; it logs the trace as a tree. On a busy machine a delivery
// may fail, and come again in a trace of its own.
func (s *system) waitTrace(c *telemetrytest.Collector, o *orderv1.Order, root string, form telemetrytest.Form) (found telemetrytest.Trace) {
	s.t.Helper()
	s.eventually(waitTimeout, func() (lacks string) {
		found, lacks = findTrace(c, o, s.named(root), form)
		return lacks
	})
	s.t.Logf("trace %s of order %s:\n%s", found.ID[:8], o.GetOrderId(), found)
	return found
}

// wantLinked checks that a trace begins with one link, to the span of the name in another.
func (s *system) wantLinked(later, first telemetrytest.Trace, name string) {
	s.t.Helper()
	from := first.Named(s.named(name))
	if links := later.Root.Links; len(from) != 1 || len(links) != 1 || links[0] != (telemetrytest.Link{TraceID: first.ID, ID: from[0].ID}) ||
		later.ID == first.ID {
		s.t.Errorf("trace %s has links %v, want one to %q in trace %s", later.ID, links, name, first.ID)
	}
}

// wantOnce checks that there is one span of each name about the order.
func (s *system) wantOnce(c *telemetrytest.Collector, o *orderv1.Order, names ...string) {
	s.t.Helper()
	for _, name := range names {
		n := 0
		for _, span := range c.Spans() {
			if span.Name == name && span.Attributes["orderflow.order_id"] == o.GetOrderId() {
				n++
			}
		}
		if n != 1 {
			s.t.Errorf("%d spans %q are about order %s, want 1", n, name, o.GetOrderId())
		}
	}
}

// wantNoStrays waits until every span about the order hangs together with the beginning of
// its trace, and each trace that no call has begun is linked to a span about the order.
func (s *system) wantNoStrays(c *telemetrytest.Collector, o *orderv1.Order) {
	s.t.Helper()
	about := func(span telemetrytest.Span) bool { return span.Attributes["orderflow.order_id"] == o.GetOrderId() }
	s.eventually(waitTimeout, func() string {
		spans, rooted := c.Spans(), map[string]bool{}
		for _, tr := range c.Traces() {
			for _, span := range tr.Spans() {
				rooted[span.ID] = span.TraceID == tr.ID
			}
			linked := slices.ContainsFunc(tr.Root.Links, func(l telemetrytest.Link) bool {
				return slices.ContainsFunc(spans, func(from telemetrytest.Span) bool { return from.ID == l.ID && from.TraceID == l.TraceID && about(from) })
			})
			if about(tr.Root) && !linked && !strings.Contains(tr.Root.Name, "Service/") {
				return fmt.Sprintf("nothing that the order comes from is linked to\n%s", tr)
			}
		}
		for _, span := range spans {
			if about(span) && !rooted[span.ID] {
				return fmt.Sprintf("%s of %s has the parent %q, which nobody has sent", span.Name, span.Service, span.ParentID)
			}
		}
		return ""
	})
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
