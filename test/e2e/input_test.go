package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// Requests that are out of bounds name each field, write nothing and send nothing.
func TestBadInput(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 10)
		o := s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)
		s.audit() // everything has come to rest: what changes from here on is these calls' doing
		before := s.effects()

		for name, bad := range s.badOrders(tea) {
			t.Run("CreateOrder/"+name, func(t *testing.T) {
				r := s.request(tenMinutes, line(tea, 1))
				bad.change(r)
				_, err := s.orderClient.CreateOrder(t.Context(), r)
				wantFields(t, err, bad.fields...)
			})
		}
		for name, bad := range allBadCalls(s, tea, o) {
			t.Run(name, func(t *testing.T) {
				err := bad.call(t.Context())
				if bad.fields != nil {
					wantFields(t, err, bad.fields...)
					return
				}
				wantReason(t, err, bad.code, bad.reason)
			})
		}
		if diff := cmp.Diff(before, s.effects()); diff != "" {
			t.Errorf("bad calls had an effect (-before +after):\n%s", diff)
		}
		s.audit()
	})
}

// badOrder makes a good request bad, and says which fields the answer names.
type badOrder struct {
	change func(r *orderv1.CreateOrderRequest)
	fields []string
}

func (s *system) badOrders(tea string) map[string]badOrder {
	type request = orderv1.CreateOrderRequest
	var many []*orderv1.OrderLine
	for i := range 101 {
		many = append(many, line(fmt.Sprintf("%s-%d", tea, i), 1))
	}
	priced := func(minor int64) *orderv1.OrderLine { l := line(tea, 1_000_000); l.UnitPriceMinor = minor; return l }
	var dear []*orderv1.OrderLine
	for i := range 10 {
		l := priced(1_000_000_000_000)
		l.Sku = fmt.Sprintf("%s-%d", tea, i)
		dear = append(dear, l)
	}
	lines := func(l ...*orderv1.OrderLine) func(r *request) { return func(r *request) { r.Lines = l } }
	window := func(d time.Duration) func(r *request) {
		return func(r *request) { r.PaymentWindow = durationpb.New(d) }
	}
	return map[string]badOrder{
		"no key":          {func(r *request) { r.IdempotencyKey = "" }, []string{"idempotency_key"}},
		"long key":        {func(r *request) { r.IdempotencyKey = strings.Repeat("k", 129) }, []string{"idempotency_key"}},
		"blank in key":    {func(r *request) { r.IdempotencyKey = "a b" }, []string{"idempotency_key"}},
		"no customer":     {func(r *request) { r.CustomerId = "" }, []string{"customer_id"}},
		"long customer":   {func(r *request) { r.CustomerId = strings.Repeat("c", 65) }, []string{"customer_id"}},
		"umlaut":          {func(r *request) { r.CustomerId = "Jürgen" }, []string{"customer_id"}},
		"no currency":     {func(r *request) { r.CurrencyCode = "" }, []string{"currency_code"}},
		"lower case":      {func(r *request) { r.CurrencyCode = "eur" }, []string{"currency_code"}},
		"made-up money":   {func(r *request) { r.CurrencyCode = "QQQ" }, []string{"currency_code"}},
		"no lines":        {lines(), []string{"lines"}},
		"101 lines":       {lines(many...), []string{"lines"}},
		"no SKU":          {lines(line("", 1)), []string{"lines[0].sku"}},
		"odd SKU":         {lines(line(tea, 1), line("tea cup", 1)), []string{"lines[1].sku"}},
		"long SKU":        {lines(line(strings.Repeat("s", 65), 1)), []string{"lines[0].sku"}},
		"zero":            {lines(line(tea, 0)), []string{"lines[0].quantity"}},
		"negative":        {lines(line(tea, -1)), []string{"lines[0].quantity"}},
		"too many":        {lines(line(tea, 1_000_001)), []string{"lines[0].quantity"}},
		"merged too many": {lines(line(tea, 1_000_000), line(tea, 1)), []string{"lines[1].quantity"}},
		"negative price":  {lines(priced(-1)), []string{"lines[0].unit_price_minor"}},
		"high price":      {lines(priced(1_000_000_000_001)), []string{"lines[0].unit_price_minor"}},
		"two prices": {
			lines(line(tea, 1), &orderv1.OrderLine{Sku: tea, Quantity: 1, UnitPriceMinor: price + 1}),
			[]string{"lines[1].unit_price_minor"},
		},
		"total overflows":    {lines(dear...), []string{"lines"}},
		"window":             {window(7 * time.Second), []string{"payment_window"}},
		"window of nothing":  {window(0), []string{"payment_window"}},
		"negative window":    {window(-time.Minute), []string{"payment_window"}},
		"short window":       {window(time.Second), []string{"payment_window"}},
		"huge window":        {func(r *request) { r.PaymentWindow = &durationpb.Duration{Seconds: 1 << 60} }, []string{"payment_window"}},
		"everything at once": {func(r *request) { r.Reset() }, []string{"idempotency_key", "customer_id", "currency_code", "lines"}},
	}
}

// badCall is a call that fails, with the fields that the answer names, or with a
// code and a reason.
type badCall struct {
	call   func(ctx context.Context) error
	fields []string
	code   codes.Code
	reason string
}

func badOrderCalls(s *system, o *orderv1.Order) map[string]badCall {
	get := func(id string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.orderClient.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
			return err
		}
	}
	pay := func(change func(p *orderv1.PayOrderRequest)) func(context.Context) error {
		return func(ctx context.Context) error {
			p := payment(o)
			p.Amount = &orderv1.Money{CurrencyCode: p.GetAmount().GetCurrencyCode(), MinorUnits: p.GetAmount().GetMinorUnits()}
			change(p)
			_, err := s.orderClient.PayOrder(ctx, p)
			return err
		}
	}
	closing := func(ids ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.orderClient.CloseIfUnpaid(ctx, &orderv1.CloseIfUnpaidRequest{OrderIds: ids})
			return err
		}
	}
	id := []string{"order_id"}
	return map[string]badCall{
		"GetOrder/no id":         {call: get(""), fields: id},
		"GetOrder/no UUID":       {call: get("tea"), fields: id},
		"GetOrder/not canonical": {call: get(strings.ToUpper(o.GetOrderId())), fields: id},
		"GetOrder/unknown":       {call: get(uuid.NewString()), code: codes.NotFound, reason: "ORDER_NOT_FOUND"},
		"PayOrder/no id":         {call: pay(func(p *orderv1.PayOrderRequest) { p.OrderId = "" }), fields: id},
		"PayOrder/no payment":    {call: pay(func(p *orderv1.PayOrderRequest) { p.PaymentId = "" }), fields: []string{"payment_id"}},
		"PayOrder/long payment": {
			call: pay(func(p *orderv1.PayOrderRequest) { p.PaymentId = strings.Repeat("p", 65) }), fields: []string{"payment_id"},
		},
		"PayOrder/no amount": {
			call: pay(func(p *orderv1.PayOrderRequest) { p.Amount = nil }), fields: []string{"amount.currency_code"},
		},
		"PayOrder/negative": {
			call: pay(func(p *orderv1.PayOrderRequest) { p.Amount.MinorUnits = -1 }), fields: []string{"amount.minor_units"},
		},
		"PayOrder/currency": {
			call: pay(func(p *orderv1.PayOrderRequest) { p.Amount.CurrencyCode = "EURO" }), fields: []string{"amount.currency_code"},
		},
		"PayOrder/unknown": {
			call: pay(func(p *orderv1.PayOrderRequest) { p.OrderId = uuid.NewString() }), code: codes.NotFound, reason: "ORDER_NOT_FOUND",
		},
		"CloseIfUnpaid/none":    {call: closing(), fields: []string{"order_ids"}},
		"CloseIfUnpaid/65":      {call: closing(slices.Repeat([]string{o.GetOrderId()}, 65)...), fields: []string{"order_ids"}},
		"CloseIfUnpaid/no UUID": {call: closing(o.GetOrderId(), "tea"), fields: []string{"order_ids[1]"}},
		"CloseIfUnpaid/not due": {
			call: func(ctx context.Context) error {
				answer, err := s.orderClient.CloseIfUnpaid(ctx, &orderv1.CloseIfUnpaidRequest{OrderIds: []string{o.GetOrderId(), uuid.Nil.String()}})
				if err != nil {
					return err
				}
				if got := answer.GetResults()[0].GetOutcome(); got != orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE {
					return fmt.Errorf("outcome %s", got)
				}
				if got := answer.GetResults()[1].GetOutcome(); got != orderv1.CloseOutcome_CLOSE_OUTCOME_UNKNOWN {
					return fmt.Errorf("outcome %s", got)
				}
				return nil
			}, code: codes.OK,
		},
	}
}

func badInventoryCalls(s *system) map[string]badCall {
	add := func(receipt, sku string, quantity int64) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.stockClient.AddStock(ctx, &inventoryv1.AddStockRequest{ReceiptId: receipt, Sku: sku, Quantity: quantity})
			return err
		}
	}
	stock := func(skus ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.stockClient.GetStock(ctx, &inventoryv1.GetStockRequest{Skus: skus})
			return err
		}
	}
	reservation := func(id string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.stockClient.GetReservation(ctx, &inventoryv1.GetReservationRequest{OrderId: id})
			return err
		}
	}
	cup := s.sku("cup")
	return map[string]badCall{
		"AddStock/no receipt":     {call: add("", cup, 1), fields: []string{"receipt_id"}},
		"AddStock/long receipt":   {call: add(strings.Repeat("r", 129), cup, 1), fields: []string{"receipt_id"}},
		"AddStock/no SKU":         {call: add("r", "", 1), fields: []string{"sku"}},
		"AddStock/odd SKU":        {call: add("r", "tea cup", 1), fields: []string{"sku"}},
		"AddStock/zero":           {call: add("r", cup, 0), fields: []string{"quantity"}},
		"AddStock/negative":       {call: add("r", cup, -1), fields: []string{"quantity"}},
		"AddStock/too many":       {call: add("r", cup, 1_000_000_001), fields: []string{"quantity"}},
		"AddStock/all":            {call: add("", "", 0), fields: []string{"receipt_id", "sku", "quantity"}},
		"GetStock/none":           {call: stock(), fields: []string{"skus"}},
		"GetStock/101":            {call: stock(slices.Repeat([]string{cup}, 101)...), fields: []string{"skus"}},
		"GetStock/odd SKU":        {call: stock(cup, "tea cup"), fields: []string{"skus[1]"}},
		"GetStock/unknown":        {call: stock(s.sku("nothing")), code: codes.NotFound, reason: "SKU_NOT_FOUND"},
		"GetReservation/no id":    {call: reservation(""), fields: []string{"order_id"}},
		"GetReservation/no UUID":  {call: reservation("tea"), fields: []string{"order_id"}},
		"GetReservation/no order": {call: reservation(uuid.NewString()), code: codes.NotFound, reason: "RESERVATION_NOT_FOUND"},
	}
}

// A key, a payment id or a receipt id that came with something else before.
func TestReusedIDs(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 10)
		request := s.request(tenMinutes, line(tea, 1))
		o := s.waitStatus(s.send(request), reserved)
		other := s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)
		pay := payment(o)
		if _, err := s.orderClient.PayOrder(t.Context(), pay); err != nil {
			t.Fatal(err)
		}
		receipt := &inventoryv1.AddStockRequest{ReceiptId: uuid.NewString(), Sku: tea, Quantity: 5}
		if _, err := s.stockClient.AddStock(t.Context(), receipt); err != nil {
			t.Fatal(err)
		}
		s.skus[tea] += 5
		s.audit()
		before := s.effects()

		if again := s.send(request); again.GetOrderId() != o.GetOrderId() || again.GetStatus() != paid {
			t.Errorf("the same request again gives %v, want the order as it is now", again)
		}
		if _, err := s.orderClient.PayOrder(t.Context(), pay); err != nil {
			t.Errorf("the same payment again: %v", err)
		}
		if _, err := s.stockClient.AddStock(t.Context(), receipt); err != nil {
			t.Errorf("the same receipt again: %v", err)
		}
		request.Lines = []*orderv1.OrderLine{line(tea, 2)}
		_, err := s.orderClient.CreateOrder(t.Context(), request)
		wantReason(t, err, codes.AlreadyExists, "IDEMPOTENCY_KEY_REUSED")
		_, err = s.orderClient.PayOrder(t.Context(), &orderv1.PayOrderRequest{
			OrderId: other.GetOrderId(), PaymentId: pay.GetPaymentId(), Amount: pay.GetAmount(),
		})
		wantReason(t, err, codes.AlreadyExists, "PAYMENT_ID_REUSED")
		receipt.Quantity++
		_, err = s.stockClient.AddStock(t.Context(), receipt)
		wantReason(t, err, codes.AlreadyExists, "RECEIPT_ID_REUSED")

		if diff := cmp.Diff(before, s.effects()); diff != "" {
			t.Errorf("repeated and refused calls had an effect (-before +after):\n%s", diff)
		}
		s.audit()
	})
}

// effects counts everything that a call can leave behind: rows, and what order-srv
// sends. (Not what is on the broker: a check-back may commit a half message for the
// second time at any moment, and inventory-srv tells its state again then.)
func (s *system) effects() map[string]int64 {
	s.t.Helper()
	all := map[string]int64{}
	for _, table := range []string{"orders", "order_lines", "barriers", "payments", "payment_extensions", "parked_messages"} {
		all["order "+table] = int64(s.count("SELECT COUNT(*) FROM {order}." + table))
	}
	for _, table := range []string{"stocks", "receipts", "adjustments", "reservations", "reservation_lines", "parked_messages"} {
		all["inventory "+table] = int64(s.count("SELECT COUNT(*) FROM {inventory}." + table))
	}
	// In timelines: what no check-back and no message that comes again adds.
	all["order timeline"] = int64(s.count("SELECT COUNT(*) FROM {order}.order_timeline WHERE kind NOT IN (3, 4)"))
	all["inventory timeline"] = int64(s.count("SELECT COUNT(*) FROM {inventory}.reservation_timeline WHERE changed = 1"))
	for _, name := range []string{"mq_messages_sent_total", "mq_half_messages_total"} {
		all[name] = int64(s.metric(s.order, name))
	}
	return all
}

// wantFields checks that an error is an InvalidArgument that names exactly these
// fields.
func wantFields(t *testing.T, err error, fields ...string) {
	t.Helper()
	st := status.Convert(err)
	var got []string
	for _, v := range detail[*errdetails.BadRequest](st).GetFieldViolations() {
		got = append(got, v.GetField())
		if v.GetDescription() == "" {
			t.Errorf("%s has no description", v.GetField())
		}
	}
	slices.Sort(got)
	slices.Sort(fields)
	if st.Code() != codes.InvalidArgument || !slices.Equal(got, fields) {
		t.Errorf("got %v naming %q, want InvalidArgument naming %q", err, got, fields)
	}
}

// wantReason checks the code and the reason of an error.
func wantReason(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	st := status.Convert(err)
	if got := detail[*errdetails.ErrorInfo](st).GetReason(); st.Code() != code || got != reason {
		t.Errorf("got %v, reason %q; want %s, %q", err, got, code, reason)
	}
}
