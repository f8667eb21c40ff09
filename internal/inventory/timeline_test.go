package inventory_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventv1 "orderflow/api/proto/event/v1"
	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/mq/message"
)

// timeline is an order's timeline, a line per entry: "trigger status version changed
// message/attempt detail".
func (w *world) timeline(o *order) (lines []string) {
	w.t.Helper()
	out, err := w.api().GetReservationTimeline(w.t.Context(), &inventoryv1.GetReservationTimelineRequest{OrderId: o.id})
	if err != nil {
		w.t.Fatal(err)
	}
	for i, e := range out.GetEntries() {
		if i > 0 && e.GetAt().AsTime().Before(out.GetEntries()[i-1].GetAt().AsTime()) {
			w.t.Errorf("entry %d is older than the one before it", i)
		}
		lines = append(lines, fmt.Sprintf("%s %s %d %v %s/%d %s", e.GetTrigger(), inventory.Status(e.GetStatus()),
			e.GetVersion(), e.GetChanged(), e.GetMessageId(), e.GetAttempt(), e.GetDetail()))
	}
	return lines
}

func (w *world) expectTimeline(o *order, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.timeline(o)); diff != "" {
		w.t.Errorf("timeline (-want +got):\n%s", diff)
	}
}

// attempt is a delivery of a message.
func attempt(m message.Message, n int) message.Message {
	m.Attempt = n
	return m
}

// Whatever arrives is told, also what changed nothing, with its id and attempt.
func TestTimelineTellsEveryArrival(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.newOrder(line("A", 4))
		created := w.orderEvents(event.TagCreated, o)
		w.sent.failures = 1
		w.again(attempt(created, 1))
		w.must(attempt(created, 2))
		w.clock.Advance(window)
		w.must(attempt(w.timer(o), 1))
		w.must(attempt(edit(t, w.orderEvents(event.TagClosed, o), func(events []map[string]any) {
			events[0]["closeReason"] = eventv1.CloseReason_CLOSE_REASON_TIMEOUT
		}), 1))
		w.expectTimeline(o,
			"created RESERVED 1 true M1/1 ",
			"created RESERVED 1 false M1/2 known already",
			"timeout RELEASED 2 true M2/1 closed: TIMEOUT",
			"closed RELEASED 2 false M1/1 closed: TIMEOUT; known already",
		)
	})
}

// A timer that needs nothing is told too, for each of its orders.
func TestTimelineOfTimersThatNeedNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		paid, extended, ghost := w.reservedOrder("A", 1), w.reservedOrder("A", 1), unknownOrder(w, line("A", 1))
		unseen := w.newOrder(line("A", 1))
		w.must(w.orderEvents(event.TagPaid, paid))
		for _, o := range []*order{paid, unseen} {
			w.orders.set(o, paidOutcome)
		}
		timer := w.timer(paid, extended, ghost, unseen)
		extended.due = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		w.clock.Advance(window)
		w.must(attempt(timer, 3))
		w.expectTimeline(paid, "created RESERVED 1 true M1/0 ", "paid SOLD 2 true M1/0 ", "timeout SOLD 2 false M2/3 the order is paid")
		w.expectTimeline(extended, "created RESERVED 1 true M1/0 ", "timeout RESERVED 1 false M2/3 not due before 2030-01-01T00:00:00Z")
		w.expectTimeline(ghost, "timeout absent 0 false M2/3 the order service does not know the order")
		w.expectTimeline(unseen, "timeout absent 0 false M2/3 the order is paid")
	})
}

// Why an order was rejected, or treated as something else than what arrived, is told.
func TestTimelineSaysWhy(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 1)
		short, late := w.newOrder(line("A", 2), line("B", 1)), w.newOrder(line("A", 1))
		w.must(w.orderEvents(event.TagCreated, short))
		w.clock.Advance(window)
		w.must(w.orderEvents(event.TagCreated, late))
		w.expectTimeline(short, "created REJECTED 1 true M1/0 2 of A asked, 1 available; B is unknown")
		w.expectTimeline(late, "created RELEASED 1 true M1/0 came late; closed: TIMEOUT")
	})
}

func TestTimelineOfTheSweeper(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		released, extended, exempt := w.reservedOrder("A", 1), w.reservedOrder("A", 1), w.reservedOrder("A", 1)
		extended.due = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		exempt.due = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		w.clock.Advance(window + grace)
		w.sweep()
		const created = "created RESERVED 1 true M1/0 "
		w.expectTimeline(released, created, "sweep RELEASED 2 true /0 closed: TIMEOUT")
		w.expectTimeline(extended, created, "sweep RESERVED 1 false /0 not due before 2030-01-01T00:00:00Z")
		w.expectTimeline(exempt, created, "sweep RESERVED 1 false /0 the order is exempt from the timeout")
	})
}

// What is parked stands where it was parked first, though it is no row of the timeline:
// what contradicts is rolled back.
func TestTimelineShowsWhatIsParked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.must(w.orderEvents(event.TagClosed, o))
		w.clock.Advance(time.Second)
		paid := w.orderEvents(event.TagPaid, o)
		w.must(paid)
		w.clock.Advance(time.Second)
		w.must(w.orderEvents(event.TagCreated, o))
		w.must(paid)
		got := w.timeline(o)
		if len(got) != 4 || !strings.HasPrefix(got[2], "parked RELEASED 2 false M1/") ||
			!strings.Contains(got[2], "paid: PAID_AFTER_RELEASED: ") || !strings.Contains(got[2], "parked 2 times") {
			t.Errorf("timeline:\n%s", strings.Join(got, "\n"))
		}
		broken := w.newOrder(line("A", 1))
		w.must(edit(t, w.orderEvents(event.TagCreated, broken), func(events []map[string]any) { delete(events[0], "lines") }))
		if got := w.timeline(broken); len(got) != 1 || !strings.HasPrefix(got[0], "parked absent 0 false") {
			t.Errorf("of an order that is only parked: %q", got)
		}
	})
}

// A reservation of a program that wrote no timeline has an empty one.
func TestTimelineOfAnOldReservation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		if err := w.db.With(t.Context()).Exec("DELETE FROM reservation_timeline").Error; err != nil {
			t.Fatal(err)
		}
		w.expectTimeline(o)
	})
}

// Whoever arrives without end is told up to a bound; the newest are left out.
func TestTimelineIsTruncated(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.newOrder(line("A", 1))
		w.must(w.orderEvents(event.TagClosed, o))
		var rows []inventory.Entry
		for i := range 1000 {
			rows = append(rows, inventory.Entry{
				OrderID: o.id, ID: fmt.Sprintf("%036d", i), At: w.clock.Now().UnixMilli() + int64(i) + 1, What: "closed", Detail: fmt.Sprint(i),
			})
		}
		get := func() *inventoryv1.GetReservationTimelineResponse {
			out, err := w.api().GetReservationTimeline(t.Context(), &inventoryv1.GetReservationTimelineRequest{OrderId: o.id})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for i, some := range [][]inventory.Entry{rows[:999], rows[999:]} {
			if err := w.db.With(t.Context()).CreateInBatches(&some, 500).Error; err != nil {
				t.Fatal(err)
			}
			out := get()
			if n := len(out.GetEntries()); n != 1000 || out.GetTruncated() != (i == 1) || out.GetEntries()[n-1].GetDetail() != "998" {
				t.Errorf("%d entries, truncated %v", n, out.GetTruncated())
			}
		}
	})
}

// The entry commits with the change: a timeline that cannot be written is a change
// that did not happen.
func TestTimelineCommitsWithTheChange(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.newOrder(line("A", 4))
		if err := w.db.With(t.Context()).Exec("ALTER TABLE reservation_timeline RENAME TO elsewhere").Error; err != nil {
			t.Fatal(err)
		}
		w.again(w.orderEvents(event.TagCreated, o))
		w.expectStock("A", 10, 0, 0)
		if err := w.db.With(t.Context()).Exec("ALTER TABLE elsewhere RENAME TO reservation_timeline").Error; err != nil {
			t.Fatal(err)
		}
		w.must(w.orderEvents(event.TagCreated, o))
		w.expectTimeline(o, "created RESERVED 1 true M1/0 ")
	})
}
