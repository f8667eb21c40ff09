package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry/telemetrytest"
)

// inject sends a message as if one of the services had sent it.
func (s *system) inject(m message.Message) {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	producer, err := s.producer(ctx)
	s.must(err)
	s.must(producer.Send(ctx, m))
}

// producer is the deployment's producer of injected messages.
func (d *deployment) producer(ctx context.Context) (*mq.Producer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.injector != nil {
		return d.injector, nil
	}
	p := mq.NewProducer(mq.Client{
		NameServers: []string{d.nameServer}, Service: "e2e", Logger: slog.New(slog.DiscardHandler),
	}, d.prefix+"e2e", d.names.OrderEvents, d.names.OrderTimeouts, d.names.StockEvents)
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	d.injector = p
	return p, nil
}

// orderEvents is a message of order-events.
func (s *system) orderEvents(tag event.Tag, events ...*eventv1.OrderEvent) message.Message {
	s.t.Helper()
	body, err := event.EncodeOrderEvents(events...)
	s.must(err)
	m := message.Message{Topic: s.names.OrderEvents, Tag: string(tag), Body: body}
	for _, e := range events {
		m.Keys = append(m.Keys, e.GetOrderId())
	}
	return m
}

// timer is the timer of an order.
func (s *system) timer(o *orderv1.Order) message.Message {
	s.t.Helper()
	due := o.GetExpiresAt().AsTime().UnixMilli()
	body, err := event.EncodePaymentTimeouts(due, &eventv1.PaymentTimeout{OrderId: o.GetOrderId()})
	s.must(err)
	return message.Message{Topic: s.names.OrderTimeouts, Tag: string(event.TagTimeout), Keys: []string{o.GetOrderId()}, Body: body}
}

// orderEvent is what order-srv says of an order.
func orderEvent(id string, expires time.Time, lines ...*eventv1.Line) *eventv1.OrderEvent {
	return &eventv1.OrderEvent{
		OrderId: id, CustomerId: "e2e", Lines: lines, ExpiresAtMs: expires.UnixMilli(),
		PaymentWindowMs: tenMinutes.Milliseconds(), OccurredAtMs: time.Now().UnixMilli(),
	}
}

// eventOf is the event of an order that exists.
func eventOf(o *orderv1.Order) *eventv1.OrderEvent {
	var lines []*eventv1.Line
	for _, l := range o.GetLines() {
		lines = append(lines, &eventv1.Line{Sku: l.GetSku(), Quantity: l.GetQuantity()})
	}
	return orderEvent(o.GetOrderId(), o.GetExpiresAt().AsTime(), lines...)
}

// metric reads a metric of an instance: the sum of all samples of the name whose
// labels have each of the given values.
func (s *system) metric(i *instance, name string, labels ...string) (sum float64) {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	samples, err := telemetrytest.Samples(telemetrytest.Scrape(ctx, i.Admin()))
	s.must(err)
	for _, sample := range samples {
		values := slices.Collect(maps.Values(sample.Labels))
		if sample.Metric == name && !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(values, l) }) {
			sum += sample.Value
		}
	}
	return sum
}

// waitMetric waits until the metric of the instances together is at least n.
func (s *system) waitMetric(n float64, name string, labels []string, instances ...*instance) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		var sum float64
		for _, i := range instances {
			sum += s.metric(i, name, labels...)
		}
		if sum < n {
			return fmt.Sprintf("%s of %v is %v, want %v", name, labels, sum, n)
		}
		return ""
	})
}
