package orderctl

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/cli"
)

// show writes the answer as JSON, or as the table that draw draws.
func (v View) show(out cli.Output, answer proto.Message, draw func(t *table)) error {
	if v.Output == "json" {
		text, err := protojson.MarshalOptions{Multiline: true, EmitUnpopulated: true}.Marshal(answer)
		if err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
		_, err = fmt.Fprintln(out.Stdout, string(text))
		return err
	}
	return drawTable(out, draw)
}

// never is how a time is shown that no clock reaches: the end of the year 9999, when an
// order ends that is exempt from the timeout.
const never = "never"

func (t *table) order(o *orderv1.Order) {
	t.row("order", o.GetOrderId())
	t.row("customer", o.GetCustomerId())
	t.row("status", state(o.GetStatus(), o.GetCloseReason()))
	if o.GetCancelReason() != "" {
		t.row("cancelled", o.GetCancelReason())
	}
	t.row("stock", name(o.GetStockState(), "STOCK_STATE_"))
	t.row("total", money(o.GetTotal())+" (minor units)")
	t.row("expires", expiry(o))
	t.row("created", moment(o.GetCreatedAt()))
	t.row("updated", moment(o.GetUpdatedAt()))
	t.row("version", o.GetVersion())
	t.gap()
	t.row("SKU", "QUANTITY", "UNIT PRICE", "SHORTAGE")
	for _, l := range o.GetLines() {
		short := ""
		if s := l.GetShortage(); s != nil {
			short = shortage(s.GetUnknownSku(), s.GetAvailable())
		}
		t.row(l.GetSku(), l.GetQuantity(), l.GetUnitPriceMinor(), short)
	}
}

func (t *table) orders(orders []*orderv1.Order) {
	t.row("ORDER", "CUSTOMER", "STATUS", "STOCK", "MINOR UNITS", "EXPIRES", "CREATED")
	for _, o := range orders {
		t.row(o.GetOrderId(), o.GetCustomerId(), state(o.GetStatus(), o.GetCloseReason()), name(o.GetStockState(), "STOCK_STATE_"),
			money(o.GetTotal()), expiry(o), moment(o.GetCreatedAt()))
	}
}

func (t *table) timeline(all []happening) {
	t.row("TIME", "WHERE", "WHAT", "WHO", "MESSAGE", "DETAIL")
	for _, h := range all {
		t.row(h.at.Local().Format("2006-01-02T15:04:05.000Z07:00"), h.where, h.what, h.who, orDash(h.mail), strings.Join(strings.Fields(h.detail), " ")) // on one line
	}
}

func (t *table) redriven(results []*orderv1.RedriveResult) {
	t.row("ORDER", "ACTION")
	for _, r := range results {
		t.row(r.GetOrderId(), name(r.GetAction(), "REDRIVE_ACTION_"))
	}
}

func (t *table) payments(payments []*orderv1.Payment) {
	t.row("PAYMENT", "ORDER", "MINOR UNITS", "REASON", "RECORDED", "REFUND", "REFUNDED")
	for _, p := range payments {
		t.row(p.GetPaymentId(), p.GetOrderId(), money(p.GetAmount()), name(p.GetRefundReason(), "REFUND_REASON_"),
			moment(p.GetRecordedAt()), orDash(p.GetRefundId()), moment(p.GetRefundedAt()))
	}
}

func (t *table) payment(p *orderv1.PayOrderResponse) {
	outcome := name(p.GetOutcome(), "PAYMENT_OUTCOME_")
	if p.GetOutcome() == orderv1.PaymentOutcome_PAYMENT_OUTCOME_REFUND_DUE {
		outcome += " (" + name(p.GetRefundReason(), "REFUND_REASON_") + ")"
	}
	t.row("payment", outcome)
	t.order(p.GetOrder())
}

func (t *table) stocks(stocks ...*inventoryv1.Stock) {
	t.row("SKU", "AVAILABLE", "RESERVED", "SOLD", "RECEIVED")
	for _, s := range stocks {
		t.row(s.GetSku(), s.GetAvailable(), s.GetReserved(), s.GetSold(), s.GetReceived())
	}
}

func (t *table) reservation(r *inventoryv1.Reservation) {
	t.row("order", r.GetOrderId())
	t.row("customer", orDash(r.GetCustomerId()))
	t.row("status", name(r.GetStatus(), "RESERVATION_STATUS_"))
	t.row("expires", moment(r.GetExpiresAt()))
	t.row("created", moment(r.GetCreatedAt()))
	t.row("updated", moment(r.GetUpdatedAt()))
	t.row("version", r.GetVersion())
	t.gap()
	t.row("SKU", "QUANTITY", "SHORTAGE")
	for _, l := range r.GetLines() {
		short := ""
		if s := l.GetShortage(); s != nil {
			short = shortage(s.GetUnknownSku(), s.GetAvailable())
		}
		t.row(l.GetSku(), l.GetQuantity(), short)
	}
}

func (t *table) reservations(reservations []*inventoryv1.Reservation) {
	t.row("ORDER", "CUSTOMER", "STATUS", "LINES", "EXPIRES", "CREATED", "UPDATED")
	for _, r := range reservations {
		t.row(r.GetOrderId(), orDash(r.GetCustomerId()), name(r.GetStatus(), "RESERVATION_STATUS_"), len(r.GetLines()),
			moment(r.GetExpiresAt()), moment(r.GetCreatedAt()), moment(r.GetUpdatedAt()))
	}
}

func shortage(unknown bool, available int64) string {
	if unknown {
		return "unknown SKU"
	}
	return fmt.Sprintf("only %d available", available)
}

// state is where an order stands, and why if it is closed.
func state(status orderv1.OrderStatus, reason orderv1.CloseReason) string {
	text := name(status, "ORDER_STATUS_")
	if status == orderv1.OrderStatus_ORDER_STATUS_CLOSED {
		text += " (" + name(reason, "CLOSE_REASON_") + ")"
	}
	return text
}

// money is an amount in minor units.
func money(m *orderv1.Money) string {
	return fmt.Sprintf("%d %s", m.GetMinorUnits(), m.GetCurrencyCode())
}

// expiry is when the order's payment window ends.
func expiry(o *orderv1.Order) string { return end(o.GetExpiresAt()) }

// end is when a payment window ends; that of an order which is exempt has no end.
func end(t *timestamppb.Timestamp) string {
	if t == nil {
		return never
	}
	return moment(t)
}

// orDash keeps a cell from being empty.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// words is an enum value as people say it; "-" if it is not set.
func words(value fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(name(value, prefix), "_", " "))
}

// name is an enum value without its prefix; "-" if it is not set.
func name(value fmt.Stringer, prefix string) string {
	text := strings.TrimPrefix(value.String(), prefix)
	if text == "UNSPECIFIED" {
		return "-"
	}
	return text
}

func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	if t.AsTime().Year() >= 9999 {
		return never
	}
	return t.AsTime().Local().Format(time.RFC3339)
}
