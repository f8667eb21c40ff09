package inventory

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
)

// maxSKUs is how many SKUs a GetStock may name.
const maxSKUs = 100

// api is the gRPC face of a Store.
type api struct {
	inventoryv1.UnimplementedInventoryServiceServer
	store *Store
	log   *slog.Logger
}

// NewGRPC returns the InventoryService over s. Its errors are apierrors as
// inventory.proto documents them; any other one is a bug or a database error
// that no retry mends, for the server to log and hide.
func NewGRPC(s *Store, log *slog.Logger) inventoryv1.InventoryServiceServer {
	return &api{store: s, log: log}
}

// AddStock records a receipt of goods.
func (a *api) AddStock(ctx context.Context, in *inventoryv1.AddStockRequest) (*inventoryv1.AddStockResponse, error) {
	receipt, err := NewReceipt(in.GetReceiptId(), in.GetSku(), in.GetQuantity())
	if err != nil {
		return nil, err
	}
	stock, err := a.store.AddStock(ctx, receipt)
	if err != nil {
		return nil, forClient(err)
	}
	a.log.InfoContext(ctx, "goods received", "receipt_id", receipt.ID, "sku", receipt.SKU, "quantity", receipt.Quantity)
	return &inventoryv1.AddStockResponse{Stock: stockMessage(stock)}, nil
}

// GetStock returns the stock of SKUs.
func (a *api) GetStock(ctx context.Context, in *inventoryv1.GetStockRequest) (*inventoryv1.GetStockResponse, error) {
	if err := checkSKUs(in.GetSkus()); err != nil {
		return nil, err
	}
	stocks, err := a.store.Stocks(ctx, in.GetSkus())
	if err != nil {
		return nil, forClient(err)
	}
	out := &inventoryv1.GetStockResponse{}
	for _, stock := range stocks {
		out.Stocks = append(out.Stocks, stockMessage(stock))
	}
	return out, nil
}

// GetReservation returns the reservation of an order.
func (a *api) GetReservation(ctx context.Context, in *inventoryv1.GetReservationRequest) (*inventoryv1.GetReservationResponse, error) {
	if !event.IsOrderID(in.GetOrderId()) {
		var wrong apierror.Violations
		wrong.Add("order_id", "must be a UUID in its canonical form")
		return nil, wrong.Err()
	}
	r, err := a.store.Reservation(ctx, in.GetOrderId())
	if err != nil {
		return nil, forClient(err)
	}
	return &inventoryv1.GetReservationResponse{Reservation: reservationMessage(r)}, nil
}

func checkSKUs(skus []string) error {
	var wrong apierror.Violations
	if len(skus) < 1 || len(skus) > maxSKUs {
		wrong.Add("skus", "must name 1 to %d SKUs, names %d", maxSKUs, len(skus))
		return wrong.Err()
	}
	for i, sku := range skus {
		checkSKU(&wrong, fmt.Sprintf("skus[%d]", i), sku)
	}
	return wrong.Err()
}

func stockMessage(s Stock) *inventoryv1.Stock {
	return &inventoryv1.Stock{Sku: s.SKU, Available: s.Available, Reserved: s.Reserved, Sold: s.Sold, Received: s.Received}
}

func reservationMessage(r Reservation) *inventoryv1.Reservation {
	out := &inventoryv1.Reservation{
		OrderId:   r.OrderID,
		Status:    inventoryv1.ReservationStatus(r.Status),
		Version:   r.Version,
		ExpiresAt: timestamp(r.ExpiresAt),
		CreatedAt: timestamp(r.CreatedAt),
		UpdatedAt: timestamp(r.UpdatedAt),
	}
	for _, l := range r.Lines {
		line := &inventoryv1.ReservationLine{Sku: l.SKU, Quantity: l.Quantity}
		if l.Shortage != ShortageNone {
			line.Shortage = &inventoryv1.Shortage{Available: l.Available, UnknownSku: l.Shortage == ShortageUnknown}
		}
		out.Lines = append(out.Lines, line)
	}
	return out
}

func timestamp(ms int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMilli(ms)) }
