package e2e

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/assembly"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
	"orderflow/internal/order"
	"orderflow/internal/parking"
	"orderflow/internal/telemetry"
)

// reserve places an order of one tea and waits until it is there.
func (d *drill) reserve() *orderv1.Order {
	d.t.Helper()
	return d.waitStatus(d.place(tenMinutes, line(d.tea, 1)), reserved)
}

// live has orders end in all ways.
func (d *drill) live() {
	d.refused = d.waitClosed(d.place(tenMinutes, line(d.sku("nothing"), 1)), outOfStock)
	d.bought, d.cancelled = d.reserve(), d.reserve()
	d.wantPaid(d.pay(d.bought))
	d.callOff(d.cancelled)
	late := d.waitStatus(d.place(minute, line(d.tea, 1)), reserved)
	d.reserve() // one that is open
	d.pushTo(late.GetExpiresAt().AsTime())
	d.waitClosed(late, timedOut)
	d.wantRefund(d.pay(late), orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)
	d.eventually(waitTimeout, d.unsettled)
	d.giveUp()
	d.move("inventory_timer_lag_seconds")
	d.moveBy(telemetry.PollInterval, "order_oldest_age_seconds", "what", "refund_due")
	d.moveBy(telemetry.PollInterval, "inventory_reservations_open")
}

// giveUp makes a dead letter of an order event, as a member of inventory's group could. It
// is parked when inventory finds that there are dead letters, which takes it some seconds.
func (d *drill) giveUp() {
	d.t.Helper()
	m := d.embedded.Broker().Messages(d.names.OrderEvents, 1)[0]
	ctx, cancel := d.call()
	defer cancel()
	d.must(d.admin.SendBack(ctx, mq.SendBackRequest{
		Group: d.names.InventoryOrderEvents, Topic: m.Topic, BrokerName: "devbroker",
		CommitLogOffset: m.PhysicalOffset, MessageID: m.UniqueKey, DelayLevel: -1,
	}))
}

// repeat has clients and messages say what they said before.
func (d *drill) repeat() {
	request := d.request(tenMinutes, line(d.tea, 1))
	d.send(request)
	o := d.waitStatus(d.send(request), reserved)
	more, money := extension(o, tenMinutes), payment(o)
	d.push(time.Minute)
	for range 2 {
		_, err := d.askToExtend(more)
		d.must(err)
	}
	for range 2 {
		_, err := d.payWith(money)
		d.must(err)
	}
	d.waitReservationEnds(o)
	d.inject(d.orderEvents(event.TagCreated, eventOf(o)))
	d.inject(d.orderEvents(event.TagPaid, eventOf(o)))
	d.inject(d.orderEvents(event.TagClosed, eventOf(d.cancelled)))
	for _, what := range []string{"created", "paid", "closed"} {
		d.move("inventory_duplicates_absorbed_total", "event", what)
	}
	for _, what := range []string{"create", "extend", "pay", "stock_event"} {
		d.move("order_duplicates_absorbed_total", "what", what)
	}
	d.move("notify_events_total", "outcome", "sent_before")

	id := d.ghost()
	d.tell(event.TagClosed, id)
	d.move("inventory_tombstones_total")
	d.tell(event.TagCreated, id)
	d.move("inventory_tombstone_hits_total")
}

func (d *drill) waitReservationEnds(o *orderv1.Order) {
	d.t.Helper()
	d.eventually(waitTimeout, func() string {
		if n := d.count("SELECT COUNT(*) FROM {inventory}.reservations WHERE order_id = ? AND status <> 1", o.GetOrderId()); n == 0 {
			return fmt.Sprintf("the stock of order %s is still held", o.GetOrderId())
		}
		return ""
	})
}

// leaveInventory has orders go on without inventory-srv, and then without a broker that
// takes messages. order-srv's sweeper does what it can.
func (d *drill) leaveInventory() {
	// Its next process would know nothing of what this one has parked.
	d.move("mq_messages_parked_total", "reason", parking.ReasonDeadLetter)
	unsold, unreturned := d.reserve(), d.reserve()
	late := d.waitStatus(d.place(minute, line(d.tea, 1)), reserved)
	d.look()
	d.stop(d.inventory)
	fresh := d.place(tenMinutes, line(d.tea, 1))
	d.wantPaid(d.pay(unsold))
	d.callOff(unreturned)

	d.embedded.Broker().RefuseWrites(true)
	ctx, cancel := d.call()
	defer cancel()
	if _, err := d.create(ctx, d.request(tenMinutes, line(d.tea, 1))); err == nil {
		d.t.Error("an order is taken without a broker")
	}
	d.pushTo(late.GetExpiresAt().AsTime())
	stuck := []string{"overdue", "created_unconfirmed", "paid_unconfirmed", "closed_unconfirmed"}
	for _, what := range stuck {
		d.moveBy(time.Second, "order_sweeper_failed_total", "what", what)
	}
	for _, what := range []string{"placed", "overdue", "unconfirmed"} {
		d.moveBy(telemetry.PollInterval, "order_oldest_age_seconds", "what", what)
	}
	d.embedded.Broker().RefuseWrites(false)
	d.moveBy(time.Second, "order_sweeper_healed_total", "what", "overdue")
	d.waitSentAgain(fresh, unsold, unreturned) // or inventory, when it is back, would be quicker
	d.useInventory(d.restart(d.inventory))
	for _, what := range stuck {
		d.moveBy(time.Second, "order_sweeper_healed_total", "what", what)
	}
}

// waitSentAgain pushes the clock until order-srv's sweeper has sent the events of the orders.
func (d *drill) waitSentAgain(orders ...*orderv1.Order) {
	d.t.Helper()
	for _, o := range orders {
		d.eventually(waitTimeout, func() string {
			if n := d.count("SELECT sweep_count FROM {order}.orders WHERE id = ?", o.GetOrderId()); n == 0 {
				d.push(time.Second)
				return fmt.Sprintf("the event of order %s was not sent again", o.GetOrderId())
			}
			return ""
		})
	}
}

// undecided has half messages end in all ways.
func (d *drill) undecided() {
	place := func() {
		d.t.Helper()
		ctx, cancel := d.call()
		defer cancel()
		if _, err := d.create(ctx, d.request(tenMinutes, line(d.tea, 1))); err == nil {
			d.t.Error("an order is taken that cannot be stored")
		}
	}
	d.edit(assembly.OrderService, "CREATE TRIGGER refused BEFORE INSERT ON orders BEGIN SELECT RAISE(ABORT, 'refused'); END")
	place()
	d.edit(assembly.OrderService, "DROP TRIGGER refused")
	d.move("mq_half_messages_total", "outcome", "rollback")

	// What the trigger writes is found wrong by the COMMIT only.
	d.edit(assembly.OrderService, "CREATE TABLE empty (id INTEGER PRIMARY KEY)",
		"CREATE TABLE wrong (id INTEGER REFERENCES empty (id) DEFERRABLE INITIALLY DEFERRED)",
		"CREATE TRIGGER undone AFTER INSERT ON barriers BEGIN INSERT INTO wrong VALUES (1); END")
	place()
	d.eventually(waitTimeout, func() string {
		d.embedded.Broker().CheckNow()
		if d.stored(mq.DiscardedTopic) == 0 {
			return "the broker has not given the half message up"
		}
		return ""
	})
	place()
	d.edit(assembly.OrderService, "DROP TRIGGER undone", "DROP TABLE wrong", "DROP TABLE empty")
	d.checkBack() // nothing was committed
	lost := d.loseCommit()
	d.waitHalf(lost, d.place(tenMinutes, line(d.tea, 1)))
	d.checkBack()
	for _, answer := range []string{"unknown", "rollback", "commit"} {
		d.move("mq_check_backs_total", "answer", answer)
	}
}

// edit changes a database behind its service's back.
func (d *drill) edit(service assembly.Service, statements ...string) {
	d.t.Helper()
	db, err := database.Open(d.databases.url(service))
	d.must(err)
	defer func() { d.must(db.Close()) }()
	for _, statement := range statements {
		if _, err := db.Pool().ExecContext(d.t.Context(), statement); err != nil {
			d.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// expire has a reservation end at once, for inventory alone.
func (d *drill) expire(id string) {
	d.t.Helper()
	d.edit(assembly.InventoryService, "UPDATE reservations SET expires_at = 1, sweep_at = 1 WHERE order_id = "+quoted(id))
}

// sweep has inventory's sweeper find what only it can put right, or cannot.
func (d *drill) sweep() {
	unsold, unreturned, open := d.reserve(), d.reserve(), d.reserve()
	unknown := d.ghost()
	d.inject(d.orderEvents(event.TagCreated, d.of(unknown, d.tea, 1)))
	d.waitHeardOf(&orderv1.Order{OrderId: unknown})
	lost := d.fail(devbroker.Fault{Code: remoting.RequestEndTransaction, Action: devbroker.Drop()})
	d.wantPaid(d.pay(unsold))
	d.callOff(unreturned)

	d.edit(assembly.InventoryService, "CREATE TRIGGER stuck BEFORE UPDATE ON stocks BEGIN SELECT RAISE(ABORT, 'stuck'); END")
	d.expire(unreturned.GetOrderId())
	d.moveBy(time.Second, "inventory_sweeper_failed_total", "what", "error")
	d.edit(assembly.InventoryService, "DROP TRIGGER stuck")
	d.moveBy(time.Second, "inventory_sweeper_healed_total", "what", "released")
	d.expire(unsold.GetOrderId())
	d.moveBy(time.Second, "inventory_sweeper_healed_total", "what", "sold")
	lost.Cancel()
	d.checkBack()

	d.expire(open.GetOrderId())
	d.moveBy(time.Second, "inventory_sweeper_healed_total", "what", "extended")
	d.edit(assembly.InventoryService, "UPDATE reservations SET sweep_at = 0 WHERE order_id = "+quoted(d.bought.GetOrderId()))
	d.moveBy(time.Second, "inventory_sweeper_healed_total", "what", "corrected")
	d.expire(unknown)
	d.moveBy(time.Second, "inventory_sweeper_failed_total", "what", "parked")
	d.edit(assembly.OrderService, "UPDATE orders SET sweep_at = 0 WHERE id = "+quoted(open.GetOrderId()))
	d.moveBy(time.Second, "order_sweeper_found_total", "what", "settled")
}

// strange stands in for order-srv: it does not answer, or what nobody understands.
type strange struct {
	orderv1.UnimplementedOrderServiceServer
	answers atomic.Bool
}

func (s *strange) CloseIfUnpaid(_ context.Context, r *orderv1.CloseIfUnpaidRequest) (*orderv1.CloseIfUnpaidResponse, error) {
	if !s.answers.Load() {
		return nil, status.Error(codes.Unavailable, "not now")
	}
	answer := &orderv1.CloseIfUnpaidResponse{}
	for _, id := range r.GetOrderIds() {
		answer.Results = append(answer.Results, &orderv1.CloseIfUnpaidResult{OrderId: id})
	}
	return answer, nil
}

// leaveOrders has another program answer in order-srv's place.
func (d *drill) leaveOrders() {
	d.move("mq_messages_parked_total", "reason", parking.ReasonDiscarded)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	d.must(err)
	server, stranger := grpc.NewServer(), &strange{}
	orderv1.RegisterOrderServiceServer(server, stranger)
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		d.must(<-serving)
	}()

	o := d.reserve()
	d.look()
	d.stop(d.inventory)
	d.stop(d.order)
	d.useInventory(d.startService(assembly.InventoryService, sweeping("--order-service="+listener.Addr().String())))
	d.inject(d.timer(&orderv1.Order{OrderId: o.GetOrderId(), ExpiresAt: o.GetCreatedAt()}))
	d.moveBy(time.Second, "mq_redeliveries_total", "group", d.names.InventoryOrderTimeouts)
	d.expire(o.GetOrderId())
	d.moveBy(time.Second, "inventory_sweeper_failed_total", "what", "no_answer")
	d.moveBy(telemetry.PollInterval, "inventory_oldest_overdue_age_seconds")
	stranger.answers.Store(true)
	d.moveBy(time.Second, "inventory_sweeper_failed_total", "what", "answer")
	d.stop(d.inventory)
	d.useOrder(d.restart(d.order))
	d.useInventory(d.startInventory(sweeping()...))
}

// contradict sends what cannot be read, and what cannot be.
func (d *drill) contradict() {
	for _, broken := range []struct{ tag, body, reason string }{
		{"created", "tea, please", event.ReasonBadBody},
		{"created", `{"schemaVersion":99,"events":[{}]}`, event.ReasonUnknownVersion},
		{"created", `{"schemaVersion":1,"events":[]}`, event.ReasonEnvelopeSize},
		{"exploded", `{"schemaVersion":1,"events":[{}]}`, event.ReasonUnknownTag},
		{"created", `{"schemaVersion":1,"events":[{}]}`, event.ReasonBadEvent},
	} {
		d.inject(message.Message{Topic: d.names.OrderEvents, Tag: broken.tag, Keys: []string{d.ghost()}, Body: []byte(broken.body)})
		d.move("mq_messages_parked_total", "reason", broken.reason)
	}
	held, sold := d.ghost(), d.ghost()
	d.inject(d.orderEvents(event.TagCreated, d.of(held, d.tea, 1)))
	d.inject(d.orderEvents(event.TagPaid, d.of(sold, d.tea, 1)))
	milk := d.stocked("milk", 10)
	future, open := d.reserve(), d.reserve()
	missing := d.waitStatus(d.place(tenMinutes, line(milk, 4)), reserved)
	d.edit(assembly.InventoryService,
		"UPDATE reservations SET status = 9 WHERE order_id = "+quoted(future.GetOrderId()),
		"PRAGMA ignore_check_constraints(1)",
		"UPDATE stocks SET reserved = 0, available = 10, received = 11 WHERE sku = "+quoted(milk))
	for _, id := range []string{held, sold} {
		d.waitHeardOf(&orderv1.Order{OrderId: id})
		d.inject(d.timer(&orderv1.Order{OrderId: id, ExpiresAt: d.bought.GetCreatedAt()}))
	}
	for tag, events := range map[event.Tag][]*eventv1.OrderEvent{
		event.TagClosed:  {eventOf(d.bought), eventOf(future), eventOf(missing)},
		event.TagPaid:    {eventOf(d.refused), eventOf(d.cancelled), eventOf(open), d.of(d.ghost(), d.tea, 1_000_000)},
		event.TagCreated: {orderEvent(d.ghost(), d.now().Add(-time.Second), &eventv1.Line{Sku: d.tea, Quantity: 1})},
	} {
		d.inject(d.orderEvents(tag, events...))
	}
	for _, reason := range append(inventory.ParkReasons(), order.ParkReasons()...) {
		d.move("mq_messages_parked_total", "reason", reason)
	}
	for _, what := range []string{"sum", "held"} {
		d.moveBy(telemetry.PollInterval, "inventory_stock_drift_units", "what", what)
	}
	d.moveBy(telemetry.PollInterval, "parked_oldest_age_seconds")
}

// failPolls has what metrics are asked about not be there.
func (d *drill) failPolls() {
	lag := d.fail(devbroker.Fault{Code: remoting.RequestGetMaxOffset, Action: devbroker.Answer(remoting.ResponseSystemError, "not now")})
	defer lag.Cancel()
	rename := func(service assembly.Service, from, to string) {
		d.t.Helper()
		d.edit(service, "ALTER TABLE "+from+" RENAME TO "+to)
	}
	rename(assembly.OrderService, "payments", "payments_gone")
	rename(assembly.OrderService, "parked_messages", "parked_gone")
	rename(assembly.InventoryService, "stocks", "stocks_gone")
	for _, poll := range []string{"orders", "parked", "stock", "lag"} {
		d.moveBy(telemetry.PollInterval, "poll_failed_total", "poll", poll)
	}
	rename(assembly.OrderService, "payments_gone", "payments")
	rename(assembly.OrderService, "parked_gone", "parked_messages")
	rename(assembly.InventoryService, "stocks_gone", "stocks")
}
