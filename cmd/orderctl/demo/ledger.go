package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// listPage is the largest page of a list.
const listPage = 500

// ledger is what both services say at the end.
type ledger struct {
	orders []*orderv1.Order
	stocks []*inventoryv1.Stock
}

// settle waits until order-srv has heard of every reservation, and reads the ledger.
func (r *rush) settle(ctx context.Context) (ledger, error) {
	for {
		waiting, err := r.list(ctx, 1, "", orderv1.OrderStatus_ORDER_STATUS_PLACED)
		if err == nil && len(waiting.GetOrders()) == 0 {
			break
		}
		select {
		case <-time.After(sampleEvery):
		case <-ctx.Done():
			return ledger{}, errors.Join(fmt.Errorf("orders are still PLACED: %w", ctx.Err()), err)
		}
	}
	var l ledger
	for token := ""; ; {
		page, err := r.list(ctx, listPage, token)
		if err != nil {
			return ledger{}, fmt.Errorf("list the orders: %w", err)
		}
		l.orders = append(l.orders, page.GetOrders()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	var err error
	if l.stocks, err = r.stocks(ctx); err != nil {
		return ledger{}, fmt.Errorf("read the stock: %w", err)
	}
	return l, nil
}

func (r *rush) list(ctx context.Context, size int32, token string, statuses ...orderv1.OrderStatus) (*orderv1.ListOrdersResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.orders.ListOrders(ctx, &orderv1.ListOrdersRequest{
		CustomerId: r.run, Statuses: statuses, PageSize: size, PageToken: token,
	})
}

// check compares the ledger with the n orders that were placed, which received the stock
// of each SKU.
func (r *rush) check(l ledger, n int) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	known, units := map[string]bool{}, map[string]int64{}
	unfinished := 0
	for _, o := range l.orders {
		known[o.GetOrderId()] = true
		if o.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_RESERVED {
			unfinished++
			continue
		}
		for _, line := range o.GetLines() {
			units[line.GetSku()] += line.GetQuantity()
		}
	}
	if len(l.orders) != n || len(known) != n || len(r.ids) != n {
		wrong("%d orders were accepted and %d are known, must be %d", len(r.ids), len(known), n)
	}
	missing := 0
	for _, id := range r.ids {
		if !known[id] {
			missing++
		}
	}
	if missing > 0 {
		wrong("%d orders were accepted and are not known", missing)
	}
	if unfinished > 0 {
		wrong("%d orders are not RESERVED", unfinished)
	}
	if len(l.stocks) != len(r.skus) {
		wrong("%d SKUs are known, must be %d", len(l.stocks), len(r.skus))
	}
	for _, s := range l.stocks {
		if s.GetReceived() != s.GetAvailable()+s.GetReserved()+s.GetSold() || s.GetReceived() != int64(n) {
			wrong("%s: received %d must be %d, and available %d + reserved %d + sold %d",
				s.GetSku(), s.GetReceived(), n, s.GetAvailable(), s.GetReserved(), s.GetSold())
		}
		if s.GetReserved() != units[s.GetSku()] || s.GetSold() != 0 {
			wrong("%s: reserved %d and sold %d, must be %d and 0", s.GetSku(), s.GetReserved(), s.GetSold(), units[s.GetSku()])
		}
	}
	return errors.Join(errs...)
}

// waited is how long each order has waited for its stock, by order-srv's clock.
func (l ledger) waited() []time.Duration {
	all := make([]time.Duration, 0, len(l.orders))
	for _, o := range l.orders {
		all = append(all, o.GetUpdatedAt().AsTime().Sub(o.GetCreatedAt().AsTime()))
	}
	return all
}
