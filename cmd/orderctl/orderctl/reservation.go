package orderctl

import (
	"context"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/cli"
)

// GetReservation shows the reservation of an order.
type GetReservation struct {
	Inventory
	OrderID string `arg:"" help:"The order."`
}

// Help is more about it.
func (GetReservation) Help() string {
	return `It is not found while no event of the order has arrived at inventory-srv.

  orderctl reservation get 01a1fd7d-c416-767a-b6d3-dd402129614f`
}

// Run is the command.
func (c GetReservation) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, func(ctx context.Context, inventory inventoryv1.InventoryServiceClient) error {
		resp, err := inventory.GetReservation(ctx, &inventoryv1.GetReservationRequest{OrderId: c.OrderID})
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.reservation(resp.GetReservation()) })
	})
}

// ListReservations lists reservations.
type ListReservations struct {
	Inventory
	Customer string              `env:"-" help:"Only those of this customer."`
	Status   []ReservationStatus `env:"-" placeholder:"STATUS" help:"Only those in this status: RESERVED, REJECTED, RELEASED or SOLD. Can be repeated."`
	Period
	Pages
}

// ReservationStatus is a status on the command line.
type ReservationStatus inventoryv1.ReservationStatus

// UnmarshalText reads the name of a status.
func (s *ReservationStatus) UnmarshalText(text []byte) error {
	number, err := numberOf(inventoryv1.ReservationStatus_value, "RESERVATION_STATUS_", string(text))
	*s = ReservationStatus(number)
	return err
}

// Help is more about it.
func (ListReservations) Help() string {
	return `What inventory holds for orders that are not paid yet, and what it refused today:

  orderctl reservation list --status RESERVED --all
  orderctl reservation list --status REJECTED --from 2026-01-31`
}

// Run is the command.
func (c ListReservations) Run(ctx context.Context, out cli.Output) error {
	req := &inventoryv1.ListReservationsRequest{CustomerId: c.Customer, CreatedFrom: c.From.timestamp(), CreatedBefore: c.Before.timestamp()}
	for _, s := range c.Status {
		req.Statuses = append(req.Statuses, inventoryv1.ReservationStatus(s))
	}
	return c.calls(func(inventory inventoryv1.InventoryServiceClient) error {
		return c.each(ctx, c.Timeout, out, func(ctx context.Context, size int32, token string) (string, error) {
			req.PageSize, req.PageToken = size, token
			resp, err := inventory.ListReservations(ctx, req)
			if err != nil {
				return "", err
			}
			return resp.GetNextPageToken(), c.show(out, resp, func(t *table) { t.reservations(resp.GetReservations()) })
		})
	})
}
