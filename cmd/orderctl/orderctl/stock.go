package orderctl

import (
	"context"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/cli"
)

// AddStock records a receipt of goods.
type AddStock struct {
	Inventory
	SKU      string `arg:"" name:"sku" help:"The stock keeping unit."`
	Quantity int64  `arg:"" help:"How many units came in."`
	Receipt  string `env:"-" help:"Id of the receipt, which counts once however often it is sent. Made and printed if missing."`
}

// Run is the command.
func (c AddStock) Run(ctx context.Context, out cli.Output) error {
	req := &inventoryv1.AddStockRequest{ReceiptId: orNew(c.Receipt, "receipt id", out), Sku: c.SKU, Quantity: c.Quantity}
	return c.call(ctx, func(ctx context.Context, inventory inventoryv1.InventoryServiceClient) error {
		resp, err := inventory.AddStock(ctx, req)
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.stocks(resp.GetStock()) })
	})
}

// GetStock shows the stock of SKUs.
type GetStock struct {
	Inventory
	SKUs []string `arg:"" name:"sku" help:"The stock keeping units."`
}

// Run is the command.
func (c GetStock) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, func(ctx context.Context, inventory inventoryv1.InventoryServiceClient) error {
		resp, err := inventory.GetStock(ctx, &inventoryv1.GetStockRequest{Skus: c.SKUs})
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.stocks(resp.GetStocks()...) })
	})
}

// GetReservation shows the reservation of an order.
type GetReservation struct {
	Inventory
	OrderID string `arg:"" help:"The order."`
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
