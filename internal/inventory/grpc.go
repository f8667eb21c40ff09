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
	store  *Store
	parked parkedReader
	log    *slog.Logger
}

// NewGRPC returns the InventoryService over s and what is parked in its database. Its
// errors are apierrors as inventory.proto documents them; any other one is a bug or a
// database error that no retry mends, for the server to log and hide.
func NewGRPC(s *Store, parked parkedReader, log *slog.Logger) inventoryv1.InventoryServiceServer {
	return &api{store: s, parked: parked, log: log}
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

// AdjustStock corrects what is available.
func (a *api) AdjustStock(ctx context.Context, in *inventoryv1.AdjustStockRequest) (*inventoryv1.AdjustStockResponse, error) {
	adjustment, err := NewAdjustment(in.GetAdjustmentId(), in.GetSku(), in.GetDifference(), in.GetReason())
	if err != nil {
		return nil, err
	}
	stock, err := a.store.AdjustStock(ctx, adjustment)
	if err != nil {
		return nil, forClient(err)
	}
	a.log.InfoContext(ctx, "stock adjusted", "adjustment_id", adjustment.ID, "sku", adjustment.SKU,
		"difference", adjustment.Difference, "reason", adjustment.Reason)
	return &inventoryv1.AdjustStockResponse{Stock: stockMessage(stock)}, nil
}

// GetStock returns the stock of SKUs.
func (a *api) GetStock(ctx context.Context, in *inventoryv1.GetStockRequest) (*inventoryv1.GetStockResponse, error) {
	var wrong apierror.Violations
	checkSKUs(&wrong, in.GetSkus(), maxSKUs)
	if err := wrong.Err(); err != nil {
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
	if err := checkOrderID(in.GetOrderId()); err != nil {
		return nil, err
	}
	r, err := a.store.Reservation(ctx, in.GetOrderId())
	if err != nil {
		return nil, forClient(err)
	}
	return &inventoryv1.GetReservationResponse{Reservation: reservationMessage(r)}, nil
}

func checkSKUs(wrong *apierror.Violations, skus []string, most int) {
	if len(skus) < 1 || len(skus) > most {
		wrong.Add("skus", "must name 1 to %d SKUs, names %d", most, len(skus))
		return
	}
	for i, sku := range skus {
		checkSKU(wrong, fmt.Sprintf("skus[%d]", i), sku)
	}
}

func checkOrderID(id string) error {
	var wrong apierror.Violations
	checkUUID(&wrong, "order_id", id)
	return wrong.Err()
}

func checkUUID(wrong *apierror.Violations, path, id string) {
	if !event.IsOrderID(id) {
		wrong.Add(path, "must be a UUID in its canonical form")
	}
}

func stockMessage(s Stock) *inventoryv1.Stock {
	return &inventoryv1.Stock{Sku: s.SKU, Available: s.Available, Reserved: s.Reserved, Sold: s.Sold, Received: s.Received}
}

func reservationMessage(r Reservation) *inventoryv1.Reservation {
	out := &inventoryv1.Reservation{
		OrderId:    r.OrderID,
		CustomerId: r.CustomerID,
		Status:     inventoryv1.ReservationStatus(r.Status),
		Version:    r.Version,
		ExpiresAt:  timestamp(r.ExpiresAt),
		CreatedAt:  timestamp(r.CreatedAt),
		UpdatedAt:  timestamp(r.UpdatedAt),
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
