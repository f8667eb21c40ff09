package inventory

import (
	"context"
	"fmt"
	"maps"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/crashpoint"
	"orderflow/internal/mq/message"
)

// maxWait is how long a handler waits for a timer that came early; one that came
// earlier is redelivered.
const maxWait = 5 * time.Second

// An order service whose clock is behind ours says "not due" about a timer that
// is. It is asked again after a pause; together the pauses stay below maxWait.
const (
	maxAsks  = 5
	askPause = time.Second
)

// waitUntilDue returns when the timer is due by our clock, or an error if that
// takes too long. A timer is never obeyed before its time.
func (s *Service) waitUntilDue(ctx context.Context, due int64) error {
	early := time.UnixMilli(due).Sub(s.clock.Now())
	if early <= 0 {
		return nil
	}
	if early >= maxWait {
		return fmt.Errorf("timer came %s early", early)
	}
	return s.wait(ctx, early)
}

func (s *Service) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-s.clock.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for a timer's due time: %w", ctx.Err())
	}
}

// closeIfUnpaid asks the order service about the orders of a timer, in one call;
// those whose due time it does not see yet it asks about again.
func (s *Service) closeIfUnpaid(ctx context.Context, due int64, ids []string) answers {
	all := answers{ids: ids, byID: map[string]*orderv1.CloseIfUnpaidResult{}}
	for round := 1; len(ids) > 0; round++ {
		s.crash.Hit(crashpoint.InventoryBeforeClose)
		some := s.ask(ctx, ids, orderv1.CloseTrigger_CLOSE_TRIGGER_TIMER)
		if some.err == nil {
			s.crash.Hit(crashpoint.InventoryAfterClose)
		}
		maps.Copy(all.byID, some.byID)
		all.err = some.err
		ids = behind(some, due)
		if len(ids) == 0 || round == maxAsks {
			break
		}
		s.log.WarnContext(ctx, "the order service's clock is behind: asking again", message.LogOrder, ids, "round", round)
		if s.wait(ctx, askPause) != nil {
			break
		}
	}
	return all
}

// behind are the orders that the order service calls not due although the time
// it names has come.
func behind(some answers, due int64) []string {
	var ids []string
	for _, id := range some.ids {
		if result, ok := some.byID[id]; ok && isBehind(result, due) {
			ids = append(ids, id)
		}
	}
	return ids
}

func isBehind(result *orderv1.CloseIfUnpaidResult, due int64) bool {
	return result.GetOutcome() == orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE && dueAt(result) <= due
}

// timeoutIncident is what the order service's answer means for one order. Stock goes
// back only if the answer is that the order is closed: what we think of its due
// time decides nothing.
func timeoutIncident(orderID string, due int64, by arrival, verdicts answers) (incident, error) {
	result, err := verdicts.of(orderID)
	if err != nil {
		return incident{}, err
	}
	in := incident{orderID: orderID, expiresAt: due, arrived: by}
	switch result.GetOutcome() {
	case orderv1.CloseOutcome_CLOSE_OUTCOME_CLOSED:
		in.what, in.expiresAt, in.arrived = orderClosed, dueAt(result), by.with(closedDetail(result.GetCloseReason()))
	case orderv1.CloseOutcome_CLOSE_OUTCOME_UNKNOWN:
		in.what = orderUnknown
	case orderv1.CloseOutcome_CLOSE_OUTCOME_PAID: // its `paid` event sells
		in.what, in.arrived = untouched, by.with(detailPaid)
	case orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE:
		if isBehind(result, due) {
			return incident{}, fmt.Errorf("order %s: the order service's clock is behind its timer", orderID)
		}
		// The window was extended, and a later timer exists.
		in.what, in.arrived = untouched, by.with(notDueDetail(result))
	default:
		return incident{}, unreadableAnswer(result)
	}
	return in, nil
}
