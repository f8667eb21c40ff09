package order

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/tracing"
)

// HandleStockEvents is the consumer of stock-events: what inventory says of an
// order's reservation. Every event carries the reservation's version, and an
// older one than the row knows changes nothing.
func (s *Service) HandleStockEvents(ctx context.Context, m message.Message) error {
	tag := event.Tag(m.Tag)
	items, err := event.DecodeStockEvents(tag, m.Body)
	if err != nil {
		return event.Permanent(err)
	}
	state, err := stockStateOf(tag)
	if err != nil {
		return err
	}
	return event.Each(ctx, s.names.OrderStockEvents, m, items, s.parker, func(ctx context.Context, e *eventv1.StockEvent) error {
		return s.onStock(ctx, stockNews{m, e, state})
	})
}

// stockStateOf is the state that a tag tells of.
func stockStateOf(tag event.Tag) (StockState, error) {
	switch tag {
	case event.TagReserved:
		return StockReserved, nil
	case event.TagRejected:
		return StockRejected, nil
	case event.TagReleased:
		return StockReleased, nil
	case event.TagSold:
		return StockSold, nil
	default:
		return StockUnknown, message.Permanent(event.ReasonUnknownTag, "no handler for tag %q", tag)
	}
}

// stockNews is one event about a reservation, and the message that brought it.
type stockNews struct {
	message message.Message
	event   *eventv1.StockEvent
	state   StockState
}

// onStock does what the news means for the order as it is now, and decides anew if
// the order changes meanwhile.
func (s *Service) onStock(ctx context.Context, n stockNews) error {
	for range maxDecisions {
		o, found, err := s.store.findRow(ctx, n.event.GetOrderId())
		if err != nil {
			return err
		}
		if !found {
			return message.Permanent(ReasonUnknownOrder,
				"inventory holds a reservation for order %s, which does not exist", n.event.GetOrderId())
		}
		if n.holdsNothing(o) && transitionReject().CanLeave(o.Status) {
			err = s.reject(ctx, o.ID, n)
		} else {
			err = s.confirm(ctx, o, n)
		}
		if err == nil && n.state == StockSold && o.open() {
			return message.Permanent(ReasonOpenButSold, "inventory has sold the stock of order %s, of whose payment nothing is known", o.ID)
		}
		if !errors.Is(err, errStale) {
			return err
		}
	}
	return errContention()
}

// reject closes an open order for which inventory holds nothing, and names the lines
// that were short.
func (s *Service) reject(ctx context.Context, id string, n stockNews) error {
	o, found, err := s.store.find(ctx, id)
	if err != nil {
		return err
	}
	if !found {
		return errStale
	}
	closed := s.eventOf(o)
	closed.CloseReason = eventv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK
	err = s.transition(ctx, event.TagClosed, closed, change{apply: func(tx *Tx, m message.Message) error {
		e := sentBy(ByInventory, m).because("inventory says %s (message %s, attempt %d)", n.state, n.message.ID, n.message.Attempt)
		if err := tx.move(o.ID, transitionReject(), e, n.apply); err != nil {
			return err
		}
		for _, line := range shortLines(o, n.event) {
			if err := tx.recordShortage(o.ID, line); err != nil {
				return err
			}
		}
		return nil
	}})
	if err == nil {
		s.metrics.countHealed(o)
	}
	return err
}

// confirm notes what inventory says. A placed order whose stock is reserved becomes
// RESERVED by it: that has no event of its own, since stock-events says it already.
// What is known, or older than what is known, changes nothing.
func (s *Service) confirm(ctx context.Context, o Order, n stockNews) error {
	if !n.isNews(o) {
		s.metrics.countAbsorbed(absorbedStock)
		e := receivedIn(n.message, ByInventory).because("version %d changes nothing: %s is known, with version %d",
			n.event.GetVersion(), o.StockState, o.StockVersion)
		return s.store.note(ctx, e.of(KindReceived, o.ID))
	}
	after := n.after(o)
	e := receivedIn(n.message, ByInventory)
	if after.settled() && o.SweepCount > 0 {
		e = e.because("healed: the sweeper had sent %s again (looks: %d)", o.Status.tag(), o.SweepCount)
	}
	if err := s.saveConfirmed(ctx, o, after, e); err != nil {
		return err
	}
	if after.settled() {
		s.metrics.countHealed(o)
	}
	return nil
}

// saveConfirmed writes what inventory has confirmed.
func (s *Service) saveConfirmed(ctx context.Context, before, after Order, e Entry) error {
	ctx, span := tracing.Start(ctx, "confirm", before.ID)
	err := s.store.inTx(ctx, func(tx *Tx) error { return tx.save(before, after, e) })
	switch {
	case errors.Is(err, errStale): // no failure: it is decided anew
		span.SetAttributes(attribute.Bool("orderflow.overtaken", true))
		span.End()
		return err
	case err == nil:
		span.SetAttributes(attribute.String("orderflow.order.status", after.Status.String()), attribute.String("orderflow.stock", after.StockState.String()))
	}
	tracing.End(span, err)
	return err
}

// holdsNothing tells whether inventory says that it holds nothing for the order, as
// far as the order knows. A reservation is refused in its first version or never: if
// the order knows that version as reserved, inventory was restored from a backup and
// has forgotten it.
func (n stockNews) holdsNothing(o Order) bool {
	switch version := n.event.GetVersion(); n.state {
	case StockRejected:
		return version >= o.StockVersion
	case StockReleased:
		return version > o.StockVersion
	default:
		return false
	}
}

// holdsAll tells whether inventory has the order's stock for it. It has sold that of an
// open order only if a backup was restored here, and the payment is forgotten: then the
// payment can be recorded again.
func (n stockNews) holdsAll() bool { return n.state == StockReserved || n.state == StockSold }

// isNews tells whether the event says more than the order knows. Its version grows
// with each change of the reservation; but if inventory was restored from a backup,
// the versions begin anew, and the answer that an order waits for is believed with
// any version.
func (n stockNews) isNews(o Order) bool {
	awaited := !o.settled() && n.state.satisfies(o.Status.stockWanted())
	return n.event.GetVersion() > o.StockVersion || awaited
}

// after is the order as it is with the news.
func (n stockNews) after(o Order) Order {
	n.apply(&o)
	if n.holdsAll() && transitionReserve().CanLeave(o.Status) {
		o.Status = transitionReserve().To
	}
	if o.settled() {
		o.SweepCount = 0
	}
	return o
}

// apply notes the state and its version.
func (n stockNews) apply(o *Order) {
	o.StockState, o.StockVersion = n.state, max(o.StockVersion, n.event.GetVersion())
}

// shortLines are the order's lines that the event names as short.
func shortLines(o Order, e *eventv1.StockEvent) []Line {
	var short []Line
	for _, shortage := range e.GetShortages() {
		for _, line := range o.Lines {
			if line.SKU != shortage.GetSku() {
				continue
			}
			line.Shortage, line.Available = TooFew, shortage.GetAvailable()
			if shortage.GetUnknownSku() {
				line.Shortage = UnknownSKU
			}
			short = append(short, line)
		}
	}
	return short
}
