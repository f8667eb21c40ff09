package orderctl

import (
	"fmt"
	"strings"
	"text/tabwriter"
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
	t := &table{tabwriter.NewWriter(out.Stdout, 0, 0, 2, ' ', 0)}
	draw(t)
	return t.w.Flush()
}

// table is aligned text. Its writer keeps the first error until Flush.
type table struct{ w *tabwriter.Writer }

func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = fmt.Sprint(c)
	}
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(texts, "\t"), "\t"))
}

// gap ends a block of columns.
func (t *table) gap() { fmt.Fprintln(t.w) }

func (t *table) order(o *orderv1.Order) {
	state := name(o.GetStatus(), "ORDER_STATUS_")
	if o.GetStatus() == orderv1.OrderStatus_ORDER_STATUS_CLOSED {
		state += " (" + name(o.GetCloseReason(), "CLOSE_REASON_") + ")"
	}
	t.row("order", o.GetOrderId())
	t.row("customer", o.GetCustomerId())
	t.row("status", state)
	t.row("stock", name(o.GetStockState(), "STOCK_STATE_"))
	t.row("total", fmt.Sprintf("%d %s (minor units)", o.GetTotal().GetMinorUnits(), o.GetTotal().GetCurrencyCode()))
	t.row("expires", moment(o.GetExpiresAt()))
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

func shortage(unknown bool, available int64) string {
	if unknown {
		return "unknown SKU"
	}
	return fmt.Sprintf("only %d available", available)
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
	return t.AsTime().Local().Format(time.RFC3339)
}
