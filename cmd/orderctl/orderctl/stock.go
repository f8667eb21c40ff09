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

// Help is more about it.
func (AddStock) Help() string {
	return `The first receipt of a SKU makes it known.

  orderctl stock add apple 10 --receipt delivery-4711`
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

// Help is more about it.
func (GetStock) Help() string {
	return `What was received is available, reserved for orders that are not paid yet, or sold.

  orderctl stock get apple pear`
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

// AdjustStock corrects the stock of a SKU.
type AdjustStock struct {
	Inventory
	SKU          string `arg:"" name:"sku" help:"The stock keeping unit."`
	Difference   int64  `arg:"" help:"How many units more are available, or less if negative."`
	Reason       string `env:"-" required:"" help:"Why, for those who read the books."`
	AdjustmentID string `env:"-" placeholder:"ID" help:"Id of the adjustment, which counts once however often it is sent. Made and printed if missing."`
}

// Help is more about it.
func (AdjustStock) Help() string {
	return `What is reserved or sold cannot be adjusted.

  orderctl stock adjust apple -3 --reason "fell off the truck"
  orderctl stock adjust apple 1 --reason "found in a count"`
}

// Run is the command.
func (c AdjustStock) Run(ctx context.Context, out cli.Output) error {
	req := &inventoryv1.AdjustStockRequest{
		AdjustmentId: orNew(c.AdjustmentID, "adjustment id", out), Sku: c.SKU, Difference: c.Difference, Reason: c.Reason,
	}
	return c.call(ctx, func(ctx context.Context, inventory inventoryv1.InventoryServiceClient) error {
		resp, err := inventory.AdjustStock(ctx, req)
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.stocks(resp.GetStock()) })
	})
}

// ListStock lists the stock of all SKUs.
type ListStock struct {
	Inventory
	Prefix string `env:"-" help:"Only SKUs that begin with this."`
	Pages
}

// Help is more about it.
func (ListStock) Help() string {
	return `What was received is available, reserved for orders that are not paid yet, or sold.

  orderctl stock list --prefix shoe- --all`
}

// Run is the command.
func (c ListStock) Run(ctx context.Context, out cli.Output) error {
	return c.calls(func(inventory inventoryv1.InventoryServiceClient) error {
		return c.each(ctx, c.Timeout, out, func(ctx context.Context, size int32, token string) (string, error) {
			resp, err := inventory.ListStock(ctx, &inventoryv1.ListStockRequest{SkuPrefix: c.Prefix, PageSize: size, PageToken: token})
			if err != nil {
				return "", err
			}
			return resp.GetNextPageToken(), c.show(out, resp, func(t *table) { t.stocks(resp.GetStocks()...) })
		})
	})
}
