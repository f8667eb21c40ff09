package order

import (
	"fmt"
	"testing"

	"orderflow/internal/mq/message"
)

func TestOutcomesForgetTheOldest(t *testing.T) {
	t.Parallel()
	o := newOutcomes(3)
	o.keep("unknown", message.StateUnknown, false)
	for i := range 4 {
		o.keep(fmt.Sprint(i), message.StateCommit, false)
		o.keep(fmt.Sprint(i), message.StateRollback, false) // comes too late to be true
	}
	for id, want := range map[string]message.TransactionState{
		"unknown": message.StateUnknown, "0": message.StateUnknown, "1": message.StateCommit, "3": message.StateCommit,
	} {
		if got, told := o.of(id); got != want || told {
			t.Errorf("%s: %s, told %v, want %s", id, got, told, want)
		}
	}
	if _, told := o.of("3"); !told {
		t.Error("the second question is taken for the first one")
	}
	if len(o.known) != 3 {
		t.Errorf("%d are remembered, want 3", len(o.known))
	}
}

// A broker that asks every second, because answers come late, must not make the
// answers later still: what a process knows to be committed or aborted it answers
// without the database, and one line of the timeline says so.
func TestRepeatedCheckBacksAskNoDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		listener := w.listener()
		for _, state := range []message.TransactionState{message.StateCommit, message.StateRollback} {
			var asked *half
			w.broker.set(func(b *fakeBroker) {
				b.execute = func(h *half, _ any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
					asked = h
					if state == message.StateRollback {
						b.checkBack(h, listener) // fences it off
					}
					return run()
				}
			})
			_, err := w.service.Place(t.Context(), draft(t, request()))
			if (err == nil) != (state == message.StateCommit) {
				t.Fatalf("place: %v", err)
			}
			if got := w.broker.checkBack(asked, listener); got != state {
				t.Errorf("answer %s, want %s", got, state)
			}
			before := w.count("order_timeline")
			if err := w.db.With(t.Context()).Exec("DELETE FROM barriers").Error; err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got := w.broker.checkBack(asked, listener); got != state {
					t.Errorf("answer %s after the barrier was taken away, want %s", got, state)
				}
			}
			if after := w.count("order_timeline"); after != before {
				t.Errorf("the timeline has %d lines more", after-before)
			}
		}
	})
}
