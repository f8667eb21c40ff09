package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
)

// Another program in inventory's group, an old one say, gives messages up at once. They
// are dead letters at the broker, are parked by inventory-srv, and can be replayed: not
// the `created` of an order that is closed meanwhile, which would hold stock for nobody,
// but that of one that still waits.
func TestT62DeadLettersAreParked(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 10)
		s.stop(s.inventory)
		buried := s.buryOrderEvents()
		waits, ends := s.place(tenMinutes, line(tea, 4)), s.place(tenMinutes, line(tea, 5))
		for _, o := range []string{waits.GetOrderId(), ends.GetOrderId()} {
			s.expectParked(o, parking.ReasonDeadLetter)
		}
		buried(2)
		s.useInventory(s.restart(s.inventory))
		s.waitReady(s.inventory)
		s.waitParked(waits.GetOrderId(), parking.ReasonDeadLetter)
		s.waitParked(ends.GetOrderId(), parking.ReasonDeadLetter)

		list := s.orderctl(0, "parked", "list", "--reason", parking.ReasonDeadLetter)
		wantRow(t, list, "inventory", s.parkedID(waits), s.names.InventoryOrderEvents, "created", waits.GetOrderId(), parking.ReasonDeadLetter)
		s.wantTimeline(waits, "the broker gave up after 1 deliveries")
		if on.has(singleDelivery) {
			s.waitStock(tea, 10, 0, 0)
		}

		s.callOff(ends)
		s.eventually(waitTimeout, func() string {
			if n := s.count("SELECT COUNT(*) FROM {inventory}.reservations WHERE order_id = ? AND status = 3", ends.GetOrderId()); n != 1 {
				return "inventory does not know that the order is closed"
			}
			return ""
		})
		late := s.parkedID(ends)
		if text := s.orderctl(1, "parked", "replay", late); !strings.Contains(text, "CLOSED") {
			t.Errorf("the refusal does not say that the order is closed: %s", text)
		}
		wantRow(t, s.orderctl(0, "parked", "show", late), "reason", parking.ReasonDeadLetter)
		wantRow(t, s.orderctl(0, "parked", "replay", s.parkedID(waits)), "now", "replayed,", "and", "removed")
		s.waitStatus(waits, reserved)
		s.waitStock(tea, 6, 4, 0)
		if on.has(singleDelivery) {
			s.wantReservation(ends, givenBack, 1)
		}
		wantRow(t, s.orderctl(0, "parked", "discard", late, "--why", "the order is closed"), "now", "discarded")
		s.wantNothingParked()
		s.audit()
	})
}

// buryOrderEvents consumes order events in inventory's group, as a program that fails
// with each of them and tries none twice, until so many are dead.
func (s *system) buryOrderEvents() (dead func(n int64)) {
	s.t.Helper()
	group := s.names.InventoryOrderEvents
	consumer := mq.NewConsumer(mq.Client{
		NameServers: []string{s.nameServer}, Service: "e2e-old", Logger: slog.New(slog.DiscardHandler),
	}, mq.Subscription{
		Group: group, Topic: s.names.OrderEvents, MaxAttempts: 1,
		Handler: func(context.Context, message.Message) error { return errors.New("this program is broken") },
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), startTimeout)
	defer cancel()
	s.must(consumer.Start(ctx))
	return func(n int64) {
		s.t.Helper()
		s.eventually(waitTimeout, func() string {
			if got := s.stored(mq.DeadLetterTopic(group)); got < n {
				return fmt.Sprintf("there are %d dead letters, want %d", got, n)
			}
			return ""
		})
		s.waitLag(group, s.names.OrderEvents) // or some would be delivered once more
		ctx, cancel := s.call()
		defer cancel()
		s.must(consumer.Stop(ctx))
	}
}

// stored is how many messages a topic has got, which need not exist yet.
func (s *system) stored(topic string) (n int64) {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	offsets, err := s.admin.TopicMaxOffsets(ctx, topic)
	var none *mq.NotFoundError
	if !errors.As(err, &none) {
		s.must(err)
	}
	for _, offset := range offsets {
		n += offset
	}
	return n
}
