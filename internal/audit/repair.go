package audit

import (
	"context"
	"slices"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
)

const (
	// redriveBatch is how many orders RedriveOrders takes.
	redriveBatch = 64
	// firstPoll and maxPoll are the pauses between two looks at what is being mended.
	firstPoll = 100 * time.Millisecond
	maxPoll   = 2 * time.Second
	// maxUseless is how many repairs in a row may mend nothing before it is given up:
	// with a service down, each of them waits in vain.
	maxUseless = 3
)

// conclude counts violations of orders, after having them mended if that is wanted.
func (r *run) conclude(ctx context.Context, sure []confirmed) error {
	left := map[string]string{} // what was tried, and how it stands now
	if r.config.Repair {
		if err := r.repair(ctx, redrivable(sure), left); err != nil {
			return err
		}
	}
	for _, c := range sure {
		is, tried := left[c.id]
		for _, v := range c.found {
			switch {
			case tried && is == "":
				v.Repair = Mended
			case tried && is != v.Actual:
				v.Actual += "; now: " + is
			}
			r.add(v)
		}
	}
	return nil
}

// redrivable are the orders that may be mended by sending their events again.
func redrivable(sure []confirmed) []string {
	var ids []string
	for _, c := range sure {
		if slices.ContainsFunc(c.found, func(v Violation) bool { return v.redrive }) {
			ids = append(ids, c.id)
		}
	}
	return ids
}

// repair sends the events of the orders again and waits until each is as it should
// be, or the time for it is over. It writes down how each stands: "" if it is mended.
func (r *run) repair(ctx context.Context, ids []string, left map[string]string) error {
	if len(ids) == 0 || r.useless >= maxUseless {
		return nil
	}
	until := r.clock.Now().Add(r.config.RepairWait)
	waiting, unsent := ids, ids
	for pause := firstPoll; ; pause = min(2*pause, maxPoll) {
		var err error
		if unsent, err = r.redrive(ctx, unsent); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.report.Summary.RepairError = err.Error()
			r.useless = maxUseless
			return nil
		}
		if waiting, err = r.unmended(ctx, waiting, left); err != nil {
			return err
		}
		if len(waiting) == 0 || !r.clock.Now().Before(until) {
			break
		}
		if err := r.wait(ctx, min(pause, until.Sub(r.clock.Now()))); err != nil {
			return err
		}
	}
	r.useless++
	if len(waiting) < len(ids) {
		r.useless = 0
	}
	if r.useless >= maxUseless {
		r.report.Summary.RepairError = "nothing was mended of late: are both services and the broker running?"
	}
	return nil
}

// redrive sends the events of orders again, and returns those that the service could
// do nothing about at the moment.
func (r *run) redrive(ctx context.Context, ids []string) (unsent []string, err error) {
	for some := range slices.Chunk(ids, redriveBatch) {
		var done *orderv1.RedriveOrdersResponse
		err := r.retry(ctx, "send events again", func() (err error) {
			ctx, cancel := context.WithTimeout(ctx, r.config.CallTimeout)
			defer cancel()
			done, err = r.services.Orders.RedriveOrders(ctx, &orderv1.RedriveOrdersRequest{OrderIds: some})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, result := range done.GetResults() {
			if result.GetAction() == orderv1.RedriveAction_REDRIVE_ACTION_UNSPECIFIED {
				unsent = append(unsent, result.GetOrderId())
			}
		}
	}
	return unsent, nil
}

// unmended reads orders again and returns those that are not as they should be. An
// order for which messages are still on their way is not mended yet.
func (r *run) unmended(ctx context.Context, ids []string, left map[string]string) (waiting []string, err error) {
	pairs, err := r.read(ctx, ids)
	if err != nil {
		return nil, err
	}
	strict := rules{overdueAfter: r.config.OverdueAfter, waitAtMost: 0}
	for _, id := range ids {
		left[id] = ""
		if p := pairs[id]; len(strict.check(p, r.clock.Now())) > 0 {
			left[id] = p.String()
			waiting = append(waiting, id)
		}
	}
	return waiting, nil
}

// read reads some orders and their reservations.
func (r *run) read(ctx context.Context, ids []string) (map[string]pair, error) {
	s := span{ids: slices.Sorted(slices.Values(ids))}
	orders, reservations := r.ordersCursor(s), r.reservationsCursor(s)
	defer orders.close()
	defer reservations.close()
	pairs := make(map[string]pair, len(ids))
	for {
		p, more, err := nextPair(ctx, orders, reservations)
		if err != nil || !more {
			return pairs, err
		}
		pairs[p.id()] = p
	}
}
