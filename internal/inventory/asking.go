package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
)

// uniqueIDs is a list of order ids without repetitions. It is short: an envelope
// holds at most 64.
type uniqueIDs struct{ list []string }

func (u *uniqueIDs) add(id string) {
	if !slices.Contains(u.list, id) {
		u.list = append(u.list, id)
	}
}

// answers is what the order service said about orders it was asked to close. For
// ids without an answer err says why.
type answers struct {
	ids  []string
	byID map[string]*orderv1.CloseIfUnpaidResult
	err  error
}

// asked tells whether the order service was asked about the order.
func (a answers) asked(orderID string) bool { return slices.Contains(a.ids, orderID) }

// of returns the answer about one order; without one the error says why, and a
// redelivery asks again.
func (a answers) of(orderID string) (*orderv1.CloseIfUnpaidResult, error) {
	if result, ok := a.byID[orderID]; ok {
		return result, nil
	}
	if a.err != nil {
		return nil, fmt.Errorf("order %s: %w", orderID, a.err)
	}
	return nil, fmt.Errorf("order %s: the order service did not answer for it", orderID)
}

// ask has the order service close those of the orders that are due and unpaid,
// in one call. It does not fail: a failure is the missing answer of each order,
// so that the other events of an envelope go on.
func (s *Service) ask(ctx context.Context, ids []string, why orderv1.CloseTrigger) answers {
	a := answers{ids: ids, byID: map[string]*orderv1.CloseIfUnpaidResult{}}
	if len(ids) == 0 {
		return a
	}
	response, err := s.orders.CloseIfUnpaid(ctx, &orderv1.CloseIfUnpaidRequest{OrderIds: ids, Trigger: why})
	if err != nil {
		a.err = fmt.Errorf("ask the order service: %w", err)
		return a
	}
	for _, result := range response.GetResults() {
		a.byID[result.GetOrderId()] = result
	}
	return a
}

// dueAt is the due time of an answer in epoch milliseconds.
func dueAt(result *orderv1.CloseIfUnpaidResult) int64 { return result.GetDueAt().AsTime().UnixMilli() }

// neverYear is the year in which an order is due that is exempt from the timeout.
const neverYear = 9999

// What the timeline says of answers and close reasons.
const detailPaid = "the order is paid"

func closedDetail(reason fmt.Stringer) string {
	return "closed: " + strings.TrimPrefix(reason.String(), "CLOSE_REASON_")
}

func notDueDetail(result *orderv1.CloseIfUnpaidResult) string {
	if result.GetDueAt().AsTime().Year() >= neverYear {
		return "the order is exempt from the timeout"
	}
	return "not due before " + result.GetDueAt().AsTime().Format(time.RFC3339)
}
