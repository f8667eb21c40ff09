package order

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
)

// grpcServer is the API over a Service: it checks and translates, nothing else.
type grpcServer struct {
	orderv1.UnimplementedOrderServiceServer
	service *Service
}

// NewGRPC returns the gRPC service. Its errors are for clients as they are, or
// of package apierror's unknown kind, of which the server shows nothing.
func NewGRPC(s *Service) orderv1.OrderServiceServer { return &grpcServer{service: s} }

// CreateOrder is documented in the proto.
func (g *grpcServer) CreateOrder(ctx context.Context, in *orderv1.CreateOrderRequest) (*orderv1.CreateOrderResponse, error) {
	r := Request{
		IdempotencyKey: in.GetIdempotencyKey(),
		CustomerID:     in.GetCustomerId(),
		Currency:       in.GetCurrencyCode(),
	}
	if w := in.GetPaymentWindow(); w != nil {
		r.Window = w.AsDuration()
		if r.Window == 0 { // zero asks for nothing else; a window of no length is not the default
			r.Window = -1
		}
	}
	for _, l := range in.GetLines() {
		r.Lines = append(r.Lines, RequestLine{SKU: l.GetSku(), Quantity: l.GetQuantity(), UnitPriceMinor: l.GetUnitPriceMinor()})
	}
	draft, err := NewDraft(r)
	if err != nil {
		return nil, err
	}
	o, err := g.service.Place(ctx, draft)
	if err != nil {
		return nil, err
	}
	if in.GetWaitForStock() {
		o = g.service.AwaitStock(ctx, o)
	}
	return &orderv1.CreateOrderResponse{Order: toProto(o)}, nil
}

// GetOrder is documented in the proto.
func (g *grpcServer) GetOrder(ctx context.Context, in *orderv1.GetOrderRequest) (*orderv1.GetOrderResponse, error) {
	if err := checkOrderID(in.GetOrderId()); err != nil {
		return nil, err
	}
	o, err := g.service.Get(ctx, in.GetOrderId())
	if err != nil {
		return nil, err
	}
	return &orderv1.GetOrderResponse{Order: toProto(o)}, nil
}

// PayOrder is documented in the proto.
func (g *grpcServer) PayOrder(ctx context.Context, in *orderv1.PayOrderRequest) (*orderv1.PayOrderResponse, error) {
	p, err := NewPayment(in.GetPaymentId(), in.GetOrderId(), in.GetAmount().GetMinorUnits(), in.GetAmount().GetCurrencyCode())
	if err != nil {
		return nil, err
	}
	recorded, o, err := g.service.Pay(ctx, p)
	if err != nil {
		return nil, err
	}
	return &orderv1.PayOrderResponse{
		Outcome:      orderv1.PaymentOutcome(recorded.Outcome),
		RefundReason: orderv1.RefundReason(recorded.RefundReason),
		Order:        toProto(o),
	}, nil
}

// CloseIfUnpaid is documented in the proto.
func (g *grpcServer) CloseIfUnpaid(ctx context.Context, in *orderv1.CloseIfUnpaidRequest) (*orderv1.CloseIfUnpaidResponse, error) {
	results, err := g.service.CloseIfUnpaid(ctx, in.GetOrderIds(), causeOf(in.GetTrigger()))
	if err != nil {
		return nil, err
	}
	out := &orderv1.CloseIfUnpaidResponse{}
	for _, r := range results {
		result := &orderv1.CloseIfUnpaidResult{
			OrderId: r.OrderID, Outcome: closeOutcome(r.Outcome), CloseReason: orderv1.CloseReason(r.Reason),
		}
		if r.DueAt != 0 {
			result.DueAt = timestamp(r.DueAt)
		}
		out.Results = append(out.Results, result)
	}
	return out, nil
}

// causeOf is who closes an order that is asked about. An older inventory does not
// say; it asks because of a timer, nearly always.
func causeOf(t orderv1.CloseTrigger) Cause {
	switch t {
	case orderv1.CloseTrigger_CLOSE_TRIGGER_LATE_EVENT:
		return ByLateEvent
	case orderv1.CloseTrigger_CLOSE_TRIGGER_INVENTORY_SWEEPER:
		return ByInventorySweeper
	case orderv1.CloseTrigger_CLOSE_TRIGGER_REPLAY:
		return ByOperator
	default:
		return ByTimer
	}
}

func closeOutcome(o CloseOutcome) orderv1.CloseOutcome {
	switch o {
	case OutcomeClosed:
		return orderv1.CloseOutcome_CLOSE_OUTCOME_CLOSED
	case OutcomePaid:
		return orderv1.CloseOutcome_CLOSE_OUTCOME_PAID
	case OutcomeNotDue:
		return orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE
	default:
		return orderv1.CloseOutcome_CLOSE_OUTCOME_UNKNOWN
	}
}

func checkOrderID(id string) error {
	var v apierror.Violations
	checkID(&v, id)
	return v.Err()
}

// toProto translates an order. The stored numbers of the enums are those of the
// proto.
func toProto(o Order) *orderv1.Order {
	out := &orderv1.Order{
		OrderId:       o.ID,
		CustomerId:    o.CustomerID,
		Status:        orderv1.OrderStatus(o.Status),
		CloseReason:   orderv1.CloseReason(o.CloseReason),
		Total:         &orderv1.Money{CurrencyCode: o.Currency, MinorUnits: o.TotalMinor},
		PaymentWindow: durationpb.New(time.Duration(o.WindowMs) * time.Millisecond),
		ExpiresAt:     expiry(o.ExpiresAt),
		CreatedAt:     timestamp(o.CreatedAt),
		UpdatedAt:     timestamp(o.UpdatedAt),
		StockState:    orderv1.StockState(o.StockState),
		Version:       o.Version,
		CancelReason:  o.CancelReason,
		TimeoutExempt: o.ExpiresAt == NoTimeout,
	}
	for _, l := range o.Lines {
		line := &orderv1.Line{Sku: l.SKU, Quantity: l.Quantity, UnitPriceMinor: l.UnitPriceMinor}
		if l.Shortage != NoShortage {
			line.Shortage = &orderv1.Shortage{Available: l.Available, UnknownSku: l.Shortage == UnknownSKU}
		}
		out.Lines = append(out.Lines, line)
	}
	return out
}

// expiry is the end of a payment window in the API: unset if there is none.
func expiry(ms int64) *timestamppb.Timestamp {
	if ms == NoTimeout {
		return nil
	}
	return timestamp(ms)
}

func timestamp(ms int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMilli(ms)) }

func fieldAt(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
