package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/crashpoint"
	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
)

// letter is one message on the broker, as far as a timeline tells of it. Ids repeat,
// so that the tag belongs to it.
type letter struct{ tag, id string }

// tap reads what is on the broker, with consumer groups of its own.
type tap struct {
	mu      sync.Mutex
	letters map[string]map[letter]bool // by order id
}

// tap begins to read all topics of the system.
func (s *system) tap() *tap {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), startTimeout)
	defer cancel()
	p := &tap{letters: map[string]map[letter]bool{}}
	for _, topic := range s.names.Topics() {
		group := s.prefix + "tap-" + strings.TrimPrefix(topic.Name, s.prefix)
		_, err := s.admin.EnsureGroup(ctx, mq.GroupSpec{Name: group})
		s.must(err)
		consumer := mq.NewConsumer(mq.Client{
			NameServers: []string{s.nameServer}, Service: "e2e-tap", Logger: slog.New(slog.DiscardHandler),
		}, mq.Subscription{Group: group, Topic: topic.Name, Handler: p.read})
		s.must(consumer.Start(ctx))
		s.closing(func(ctx context.Context) error { return s.admin.DeleteGroup(ctx, group) })
		s.closing(consumer.Stop)
	}
	return p
}

func (p *tap) read(_ context.Context, m message.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range m.Keys {
		if p.letters[id] == nil {
			p.letters[id] = map[letter]bool{}
		}
		p.letters[id][letter{m.Tag, m.ID}] = true
	}
	return nil
}

// of are the messages of an order.
func (p *tap) of(o *orderv1.Order) map[letter]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[letter]bool{}
	for l := range p.letters[o.GetOrderId()] {
		all[l] = true
	}
	return all
}

// The timelines tell the whole life of an order: placed, reserved, its window extended,
// its first timer a no-op; order-srv away when the second one comes, and hanging when
// it has closed the order, so that the broker asks; the stock given back, a payment that
// came too late, and its refund. Each message that they name is on the broker, each one
// on the broker is named, and the attempts are those that were made.
func TestTheWholeLifeOfAnOrder(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		broker := s.tap()
		tea := s.stocked("tea", 10)
		o := s.waitStatus(s.place(shortly, line(tea, 4)), reserved)
		s.extend(o, 20*time.Second)
		s.waitTimers(o, heldNow)

		s.stop(s.order)
		retries := []string{s.names.InventoryOrderTimeouts, "retry"}
		s.waitMetric(1, "mq_messages_handled_total", retries, s.inventory)
		file := filepath.Join(t.TempDir(), "paused")
		s.useOrder(s.restart(s.order, pauses(crashpoint.OrderAfterCommit, file)))
		s.waitPaused(file)
		s.waitStock(tea, 10, 0, 0) // the check-back has committed `closed`
		s.resume(file)
		s.eventually(waitTimeout, s.unsettled) // order-srv has heard of it
		p := payment(o)
		answer, err := s.payWith(p)
		s.must(err)
		s.wantRefund(answer, orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)
		_, err = s.resolve(p.GetPaymentId(), "refund-4711")
		s.must(err)
		s.waitTimers(o, heldNow, givenBack)
		s.audit()

		s.wantOrderTimeline(o)
		s.wantReservationTimeline(o, 1+int32(s.metric(s.inventory, "mq_messages_handled_total", retries...)))
		s.waitLettersTold(o, broker)
	})
}

// wantOrderTimeline checks what order-srv tells, but for what came or was asked again.
func (s *system) wantOrderTimeline(o *orderv1.Order) {
	s.t.Helper()
	uuids := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	var told []string
	asked := false
	for _, e := range s.timeline(o) {
		switch e.GetKind() {
		case orderv1.TimelineKind_TIMELINE_KIND_RECEIVED:
			continue
		case orderv1.TimelineKind_TIMELINE_KIND_CHECK_BACK: // a busy broker asks about any half message
			if asked || e.GetTag() != "closed" {
				continue
			}
			asked = true
		}
		text := fmt.Sprintf("%s by %s %s", short(e.GetKind(), "TIMELINE_KIND_"), short(e.GetCause(), "CAUSE_"), e.GetTag())
		if e.GetVersion() > 0 {
			text += fmt.Sprintf(" v%d %s", e.GetVersion(), short(e.GetStatus(), "ORDER_STATUS_"))
		}
		if e.GetAttempt() > 0 {
			text += fmt.Sprintf(" #%d", e.GetAttempt())
		}
		told = append(told, text+" "+uuids.ReplaceAllString(e.GetDetail(), "ID"))
	}
	want := []string{
		"SENT by CLIENT timeout ",
		"CHANGED by CLIENT created v1 PLACED ",
		"CHANGED by INVENTORY reserved v2 RESERVED #1 ",
		"CHANGED by CLIENT timeout v3 RESERVED payment window extended by request ID",
		"CHANGED by TIMER closed v4 CLOSED ",
		"CHECK_BACK by BROKER closed #1 commit",
		"CHANGED by INVENTORY released v5 CLOSED #1 ",
		"PAYMENT by CLIENT  payment ID is a refund due: ORDER_CLOSED",
		"PAYMENT by CLIENT  payment ID was refunded: refund refund-4711",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		s.t.Errorf("order-srv tells (-want +got):\n%s", diff)
	}
}

// short is an enum's value without its prefix.
func short(value fmt.Stringer, prefix string) string {
	return strings.TrimPrefix(value.String(), prefix)
}

// wantReservationTimeline checks what inventory-srv tells, in which the timer that found
// the order closed had come so many times.
func (s *system) wantReservationTimeline(o *orderv1.Order, attempt int32) {
	s.t.Helper()
	type entry struct {
		trigger string
		status  inventoryv1.ReservationStatus
		version int64
		changed bool
		attempt int32
	}
	var told []entry
	for _, e := range s.reservationTimeline(o) {
		told = append(told, entry{e.GetTrigger(), e.GetStatus(), e.GetVersion(), e.GetChanged(), e.GetAttempt()})
	}
	created, timeout := entry{"created", heldNow, 1, true, 1}, entry{"timeout", heldNow, 1, false, 1}
	if told[0] != created || !slices.Contains(told, timeout) {
		s.t.Errorf("inventory-srv tells %v, want %v, and %v", told, created, timeout)
	}
	released := 0 // by the timer, or by the event that came first
	for _, e := range told {
		if e.changed && e.version == 2 && e.status == givenBack {
			released++
		}
	}
	found := slices.ContainsFunc(told, func(e entry) bool { return e.trigger == "timeout" && e.status == givenBack && e.attempt == attempt })
	if released != 1 || !found || attempt < 2 {
		s.t.Errorf("inventory-srv tells %v, want one release, and a timer at attempt %d", told, attempt)
	}
}

// waitLettersTold waits until the messages of the order that are on the broker are those
// that the timelines name.
func (s *system) waitLettersTold(o *orderv1.Order, broker *tap) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		told := map[letter]bool{}
		for _, e := range s.timeline(o) {
			if e.GetMessageId() != "" {
				told[letter{e.GetTag(), e.GetMessageId()}] = true
			}
		}
		for _, e := range s.reservationTimeline(o) {
			if e.GetMessageId() != "" {
				told[letter{e.GetTrigger(), e.GetMessageId()}] = true
			}
		}
		if there := broker.of(o); !maps.Equal(told, there) {
			return fmt.Sprintf("the timelines name %v, on the broker are %v", told, there)
		}
		return ""
	})
}
