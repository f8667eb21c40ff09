package e2e

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/crashpoint"
	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
	"orderflow/internal/parking"
)

// A broker loses what it has acknowledged: first some half messages, whose orders are
// committed, because it gives up asking after them (T07, and with a payment T37), and then
// all that it has, timers included (T20, T69). It loses it, and no row is edited. Each order
// ends as it should, and no service is restarted for the sake of the broker.
func TestT07T20T69TheBrokerLosesMessages(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		l := newLossy(t, on)
		l.loseHalfMessages()
		l.loseEverything()
		l.audit()
	})
}

// fewChecks is after how many check-backs a half message is given up; they come by the
// second. RocketMQ writes down every three seconds which ones are decided, and asks about
// them until then: with a handful of checks it would give up what it has delivered.
func fewChecks(on stack) int {
	if on == onReal {
		return 15
	}
	return 2
}

// lossy is a system with a broker that gives half messages up soon, and that can lose its
// store.
type lossy struct {
	*system
	broker killableBroker // nil where the broker is in this process
	tea    string
}

func newLossy(t *testing.T, on stack) *lossy {
	t.Helper()
	l := &lossy{}
	p := plan{}
	if on == onEmbedded {
		p.brokerOptions = []devbroker.Option{
			devbroker.WithMaxChecks(fewChecks(on)), devbroker.WithTransactionTimeout(time.Hour), devbroker.WithCheckInterval(time.Hour),
		}
	} else {
		l.broker = newBrokerThatAsks(t, on, fewChecks(on))
		p.broker = l.broker
	}
	l.system = newSweeping(t, on, p)
	l.tea = l.stocked("tea", 100)
	return l
}

// loseHalfMessages has the broker give up the half messages of a placed and of a paid
// order. The sweeper sends both events again, and what was given up is parked, to be
// replayed or discarded.
func (l *lossy) loseHalfMessages() {
	l.t.Helper()
	request := l.request(tenMinutes, line(l.tea, 4))
	l.giveUp(func(ctx context.Context) error { _, err := l.create(ctx, request); return err })
	o := l.send(request)
	l.waitStatus(o, reserved)
	l.waitHealed(1, "created")
	l.wantReservation(o, heldNow, 1)
	l.waitParkedHalf(o)
	l.wantTimeline(o, "sent again: the order is PLACED", "healed: the sweeper had sent created again", parking.ReasonDiscarded)

	wantRow(l.t, l.orderctl(0, "parked", "replay", l.parkedID(o)), "now", "replayed,", "and", "removed")
	l.wantTimeline(o, "sent again: the order is RESERVED")
	l.wantNothingParked()
	if l.embedded != nil { // others would have to wait for one more minute
		l.losePayment(o)
		return
	}
	l.wantPaid(l.pay(o))
}

// losePayment does so with the half message of a payment.
func (l *lossy) losePayment(o *orderv1.Order) {
	l.t.Helper()
	l.giveUp(func(ctx context.Context) error { l.wantPaid(l.pay(o)); return nil })
	l.waitStock(l.tea, 96, 0, 4)
	l.waitHealed(1, "paid")
	l.wantReservation(o, soldForGood, 2)
	l.waitParkedHalf(o)

	id := l.parkedID(o)
	wantRow(l.t, l.orderctl(0, "parked", "discard", id, "--why", "the sweeper has sent it"), "now", "discarded")
	l.orderctl(1, "parked", "show", id)
	l.wantNothingParked()
}

// giveUp makes a call about the test's first order whose half message the broker gives up,
// although the local transaction is committed: order-srv dies before it can say so, and is
// kept away; or, where it cannot be killed, what it says gets lost.
func (l *lossy) giveUp(call func(ctx context.Context) error) {
	l.t.Helper()
	ctx, cancel := l.call()
	defer cancel()
	if l.embedded != nil {
		before := l.stored(mq.DiscardedTopic)
		fault := l.fail(devbroker.Fault{Code: remoting.RequestEndTransaction, Action: devbroker.Drop()})
		l.must(call(ctx))
		l.eventually(waitTimeout, func() string {
			l.embedded.Broker().CheckNow()
			if l.stored(mq.DiscardedTopic) == before {
				return "the broker has given up no half message"
			}
			return ""
		})
		fault.Cancel()
		return
	}
	l.stop(l.order)
	l.useOrder(l.restart(l.order, kills(crashpoint.OrderAfterCommit)))
	l.waitReady(l.order)
	if err := call(ctx); err == nil {
		l.t.Fatal("the call has succeeded, want the end of the connection")
	}
	l.wantKilled(l.order)
	l.waitDiscarded(l.ids("SELECT id FROM {order}.orders WHERE customer_id = ?", l.customer)[0])
	l.useOrder(l.restart(l.order))
	l.waitReady(l.order)
}

// waitDiscarded waits until the broker has given up a half message about the order: it may
// give up others, with which a producer warmed up that was killed.
func (l *lossy) waitDiscarded(orderID string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), waitTimeout)
	defer cancel()
	group := l.prefix + "e2e-discarded"
	_, err := l.admin.EnsureGroup(ctx, mq.GroupSpec{Name: group})
	l.must(err)
	found := make(chan struct{})
	see := sync.OnceFunc(func() { close(found) })
	reader := mq.NewConsumer(mq.Client{
		NameServers: []string{l.nameServer}, Service: "e2e", Logger: slog.New(slog.DiscardHandler),
	}, mq.Subscription{Group: group, Topic: mq.DiscardedTopic, Handler: func(_ context.Context, m message.Message) error {
		if slices.Contains(m.Keys, orderID) {
			see()
		}
		return nil
	}})
	l.must(reader.Start(ctx)) // when there is such a topic
	select {
	case <-found:
	case <-ctx.Done():
		l.t.Fatalf("the broker has not given up the half message of order %s", orderID)
	}
	l.must(reader.Stop(ctx))
}

// drainTimeout is how long a half message may take from the broker's leftovers to where
// it is parked: leftovers are read in order, and the broker keeps the queue for a reader
// that was killed for a minute.
const drainTimeout = 2 * time.Minute

// waitParkedHalf waits until a half message of the order is parked.
func (l *lossy) waitParkedHalf(o *orderv1.Order) {
	l.t.Helper()
	l.expectParked(o.GetOrderId(), parking.ReasonDiscarded)
	began := time.Now()
	l.waitParkedFor(drainTimeout, o.GetOrderId(), parking.ReasonDiscarded)
	l.t.Logf("parked after %s", time.Since(began).Round(time.Millisecond))
}

// parkedID is the id of the one message that is parked about the order, as the operator
// finds it.
func (s *system) parkedID(o *orderv1.Order) string {
	s.t.Helper()
	var found map[string]struct {
		Messages []struct{ ID string }
	}
	s.decode(s.orderctl(0, "parked", "list", "--order", o.GetOrderId(), "-o", "json"), &found)
	var ids []string
	for _, service := range found {
		for _, m := range service.Messages {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) != 1 {
		s.t.Fatalf("parked about order %s are %v, want one message", o.GetOrderId(), ids)
	}
	return ids[0]
}

func (s *system) wantNothingParked() {
	s.t.Helper()
	if all := s.parked(); len(all) > 0 {
		s.t.Errorf("parked are %v, want nothing", all)
	}
}

// loseEverything wipes the broker's store. Lost are the events of orders that were placed,
// paid and cancelled while inventory heard nothing, and all timers.
func (l *lossy) loseEverything() {
	held := l.waitStatus(l.place(10*time.Second, line(l.tea, 1)), reserved) // only its timer gets lost
	var bought, called []*orderv1.Order
	for range 4 {
		bought = append(bought, l.waitStatus(l.place(tenMinutes, line(l.tea, 1)), reserved))
		called = append(called, l.waitStatus(l.place(tenMinutes, line(l.tea, 1)), reserved))
	}
	healed := map[string]float64{}
	for _, event := range []string{"created", "paid", "closed"} {
		healed[event] = l.metric(l.order, healedByOrder, event+"_unconfirmed")
	}
	hear := l.deafen()
	var fresh, late []*orderv1.Order
	for range 8 {
		fresh = append(fresh, l.place(tenMinutes, line(l.tea, 1)))
		late = append(late, l.place(expiring, line(l.tea, 1)))
	}
	for i := range bought {
		l.wantPaid(l.pay(bought[i]))
		l.callOff(called[i])
	}
	l.expectLeftovers()
	l.wipeStore()
	began := time.Now()
	hear()
	if l.on.has(aClockToPush) {
		l.pushTo(held.GetExpiresAt().AsTime().Add(2 * time.Second)) // and the grace
	}

	for _, o := range append(late, held) {
		l.waitClosed(o, timedOut)
	}
	l.t.Logf("orders without a timer are closed %s after the loss", time.Since(began).Round(time.Millisecond))
	l.eventually(waitTimeout, func() string {
		missing := l.unsettled()
		if missing != "" && l.on.has(aClockToPush) {
			l.push(10 * pollInterval) // what was skipped is sent again at ever longer intervals
		}
		return missing
	})
	l.t.Logf("all is as it should be %s after the loss", time.Since(began).Round(time.Millisecond))
	for _, o := range fresh {
		l.waitStatus(o, reserved)
	}
	l.waitStock(l.tea, 84, 8, 8)
	for event, before := range healed { // one message for each of four queues may have been on its way
		l.waitMetric(before+4, healedByOrder, []string{event + "_unconfirmed"}, l.order)
	}
	l.waitMetric(1, healedByOrder, []string{"overdue"}, l.order)
	l.wantRunning(l.order)
	l.wantRunning(l.inventory)
	l.waitReady(l.order, l.inventory)
	last := l.place(tenMinutes, line(l.tea, 1))
	l.expectLeftovers()
	l.waitStatus(last, reserved)
}

// expectLeftovers says that more may be parked of every order when the broker comes back
// without its store: what inventory has in its hands and cannot give back, and half messages
// that are undecided when the broker does not know yet whom to ask, which takes RocketMQ up to
// half a minute. The sweeper sends their events again.
func (l *lossy) expectLeftovers() {
	for _, id := range l.orderIDs() {
		l.expectParked(id, mq.ReasonCannotSendBack)
		l.expectParked(id, parking.ReasonDiscarded)
	}
}

// deafen keeps inventory from hearing of orders, without ending it, until hear is called.
func (l *lossy) deafen() (hear func()) {
	l.t.Helper()
	if l.embedded != nil {
		return l.fail(devbroker.Fault{Code: remoting.RequestEndTransaction, Action: devbroker.Drop()}).Cancel
	}
	return l.hang(l.inventory)
}

// wipeStore has the broker lose its store, by a crash if it is a process.
func (l *lossy) wipeStore() {
	l.t.Helper()
	if l.embedded != nil {
		l.embedded.Broker().Wipe()
		return
	}
	l.killBroker(l.broker)
	l.must(l.broker.wipe())
	l.startBroker(l.broker)
}
