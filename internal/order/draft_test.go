package order

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "orderflow/api/proto/order/v1"
)

// badRequests is every field out of its bounds, with the fields that the answer
// must name.
func badRequests() map[string]struct {
	change func(*Request)
	fields []string
} {
	line := func(change func(*RequestLine)) func(*Request) {
		return func(r *Request) { change(&r.Lines[1]) }
	}
	many := func(n int) func(*Request) {
		return func(r *Request) {
			r.Lines = nil
			for i := range n {
				r.Lines = append(r.Lines, RequestLine{SKU: fmt.Sprint("sku-", i), Quantity: 1})
			}
		}
	}
	type row = struct {
		change func(*Request)
		fields []string
	}
	one := func(field string, change func(*Request)) row { return row{change, []string{field}} }
	return map[string]row{
		"no key":                    one("idempotency_key", func(r *Request) { r.IdempotencyKey = "" }),
		"key too long":              one("idempotency_key", func(r *Request) { r.IdempotencyKey = strings.Repeat("k", MaxKeyLength+1) }),
		"key with a blank":          one("idempotency_key", func(r *Request) { r.IdempotencyKey = "a " }),
		"key with a letter of UTF8": one("idempotency_key", func(r *Request) { r.IdempotencyKey = "ä" }),
		"key with DEL":              one("idempotency_key", func(r *Request) { r.IdempotencyKey = "a\x7f" }),
		"no customer":               one("customer_id", func(r *Request) { r.CustomerID = "" }),
		"customer too long":         one("customer_id", func(r *Request) { r.CustomerID = strings.Repeat("c", MaxCustomerLength+1) }),
		"customer with a newline":   one("customer_id", func(r *Request) { r.CustomerID = "c\n" }),
		"no currency":               one("currency_code", func(r *Request) { r.Currency = "" }),
		"lower-case currency":       one("currency_code", func(r *Request) { r.Currency = "eur" }),
		"mixed-case currency":       one("currency_code", func(r *Request) { r.Currency = "EuR" }),
		"unknown currency":          one("currency_code", func(r *Request) { r.Currency = "QQQ" }),
		"currency of four letters":  one("currency_code", func(r *Request) { r.Currency = "EURO" }),
		"currency of digits":        one("currency_code", func(r *Request) { r.Currency = "978" }),
		"currency of one rune":      one("currency_code", func(r *Request) { r.Currency = "€" }),
		"negative window":           one("payment_window", func(r *Request) { r.Window = -time.Minute }),
		"window of half a ms":       one("payment_window", func(r *Request) { r.Window = 500 * time.Microsecond }),
		"no lines":                  one("lines", func(r *Request) { r.Lines = nil }),
		"101 lines":                 one("lines", many(101)),
		"no SKU":                    one("lines[1].sku", line(func(l *RequestLine) { l.SKU = "" })),
		"SKU too long":              one("lines[1].sku", line(func(l *RequestLine) { l.SKU = strings.Repeat("s", 65) })),
		"SKU with a blank":          one("lines[1].sku", line(func(l *RequestLine) { l.SKU = "tea " })),
		"SKU with a slash":          one("lines[1].sku", line(func(l *RequestLine) { l.SKU = "a/b" })),
		"quantity 0":                one("lines[1].quantity", line(func(l *RequestLine) { l.Quantity = 0 })),
		"negative quantity":         one("lines[1].quantity", line(func(l *RequestLine) { l.Quantity = -1 })),
		"smallest quantity":         one("lines[1].quantity", line(func(l *RequestLine) { l.Quantity = math.MinInt64 })),
		"quantity too large":        one("lines[1].quantity", line(func(l *RequestLine) { l.Quantity = 1_000_001 })),
		"huge quantity":             one("lines[1].quantity", line(func(l *RequestLine) { l.Quantity = math.MaxInt64 })),
		"negative price":            one("lines[1].unit_price_minor", line(func(l *RequestLine) { l.UnitPriceMinor = -1 })),
		"price too large":           one("lines[1].unit_price_minor", line(func(l *RequestLine) { l.UnitPriceMinor = MaxUnitPrice + 1 })),
		"total overflows": one("lines", func(r *Request) {
			r.Lines = nil
			for i := range 10 { // 10 * 10^18 > 2^63
				r.Lines = append(r.Lines, RequestLine{SKU: fmt.Sprint("s", i), Quantity: 1_000_000, UnitPriceMinor: MaxUnitPrice})
			}
		}),
		"same SKU, other price": one("lines[1].unit_price_minor", line(func(l *RequestLine) { l.SKU = "tea" })),
		"same SKU, merged quantity too large": one("lines[1].quantity", func(r *Request) {
			r.Lines = []RequestLine{{SKU: "tea", Quantity: 600_000}, {SKU: "tea", Quantity: 400_001}}
		}),
		"everything": {func(r *Request) {
			*r = Request{Currency: "x", Window: -1, Lines: []RequestLine{{SKU: " ", Quantity: -1}, {SKU: "a", Quantity: 1, UnitPriceMinor: -1}}}
		}, []string{
			"idempotency_key", "customer_id", "currency_code", "payment_window",
			"lines[0].sku", "lines[0].quantity", "lines[1].unit_price_minor",
		}},
	}
}

// T46: a request out of its bounds is refused with the fields that are wrong,
// through the API, and nothing comes of it.
func TestCreateOrderRefusesBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		api := NewGRPC(w.service)
		for name, bad := range badRequests() {
			r := request()
			bad.change(&r)
			_, err := api.CreateOrder(t.Context(), createRequest(r))
			if diff := cmp.Diff(bad.fields, fieldsOf(t, err)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		for name, in := range map[string]*orderv1.CreateOrderRequest{
			"nil line":       {IdempotencyKey: "k", CustomerId: "c", CurrencyCode: "EUR", Lines: []*orderv1.OrderLine{nil}},
			"window of 0":    withWindow(&durationpb.Duration{}),
			"endless window": withWindow(&durationpb.Duration{Seconds: math.MaxInt64}),
			"signs differ":   withWindow(&durationpb.Duration{Seconds: 1800, Nanos: -5}),
			"2 minutes":      withWindow(durationpb.New(2 * time.Minute)),
			"1 second":       withWindow(durationpb.New(time.Second)), // not longer than the local transaction may take
		} {
			_, err := api.CreateOrder(t.Context(), in)
			if fields := fieldsOf(t, err); name != "nil line" && !slices.Equal(fields, []string{"payment_window"}) {
				t.Errorf("%s: %v", name, fields)
			}
		}
		if _, err := api.CreateOrder(t.Context(), nil); len(fieldsOf(t, err)) != 4 {
			t.Errorf("empty request: %v", err)
		}
		w.wantNothing()
	})
}

func createRequest(r Request) *orderv1.CreateOrderRequest {
	in := &orderv1.CreateOrderRequest{IdempotencyKey: r.IdempotencyKey, CustomerId: r.CustomerID, CurrencyCode: r.Currency}
	if r.Window != 0 {
		in.PaymentWindow = durationpb.New(r.Window)
	}
	for _, l := range r.Lines {
		in.Lines = append(in.Lines, &orderv1.OrderLine{Sku: l.SKU, Quantity: l.Quantity, UnitPriceMinor: l.UnitPriceMinor})
	}
	return in
}

func withWindow(d *durationpb.Duration) *orderv1.CreateOrderRequest {
	in := createRequest(request())
	in.PaymentWindow = d
	return in
}

// The default window is bound by the same rules, and CheckConfig says so at the
// start.
func TestDefaultWindowMustBeDeliverable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSQLite(t))
	if err := w.service.CheckConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.broker.set(func(b *fakeBroker) { b.unsupported = true })
	if err := w.service.CheckConfig(t.Context()); err == nil {
		t.Error("CheckConfig takes a window that the broker cannot deliver")
	}
	_, err := w.service.Place(t.Context(), draft(t, request()))
	if fields := fieldsOf(t, err); !slices.Equal(fields, []string{"payment_window"}) {
		t.Errorf("fields %v", fields)
	}
	w.broker.set(func(b *fakeBroker) { b.unsupported, b.delayFails = false, true })
	_, err = w.service.Place(t.Context(), draft(t, request()))
	wantError(t, err, codes.Unavailable, unavailable)
	w.service.config.PaymentWindow = w.service.config.LocalTransactionTimeout
	if err := w.service.CheckConfig(t.Context()); err == nil {
		t.Error("CheckConfig takes a window that the local transaction may outlast")
	}
	w.wantNothing()
}

// The bounds themselves hold.
func TestDraftAcceptsBounds(t *testing.T) {
	t.Parallel()
	r := Request{
		IdempotencyKey: strings.Repeat("~", MaxKeyLength), CustomerID: strings.Repeat("!", MaxCustomerLength), Currency: "JPY",
		Window: time.Minute,
	}
	for i := range 100 {
		r.Lines = append(r.Lines, RequestLine{SKU: fmt.Sprintf("%064d", i), Quantity: 1, UnitPriceMinor: MaxUnitPrice})
	}
	d := draft(t, r)
	if len(d.lines) != 100 || d.total != 100*MaxUnitPrice {
		t.Errorf("%d lines, total %d", len(d.lines), d.total)
	}
	top := request() // exactly the largest int64 does not come up; close to it does
	top.Lines = nil
	for i := range 9 {
		top.Lines = append(top.Lines, RequestLine{SKU: fmt.Sprint("s", i), Quantity: 1_000_000, UnitPriceMinor: MaxUnitPrice})
	}
	if d := draft(t, top); d.total != 9_000_000_000_000_000_000 {
		t.Errorf("total %d", d.total)
	}
}

// T46: lines of one SKU are one line, however they are split and sorted, and mean
// the same request.
func TestDraftMergesLines(t *testing.T) {
	t.Parallel()
	r := request()
	r.Lines = []RequestLine{{"tea", 1, 250}, {"cup", 1, 999}, {"tea", 4, 250}}
	d := draft(t, r)
	want := []Line{{SKU: "cup", Quantity: 1, UnitPriceMinor: 999}, {SKU: "tea", Quantity: 5, UnitPriceMinor: 250}}
	if diff := cmp.Diff(want, d.lines); diff != "" {
		t.Error(diff)
	}
	if d.total != 5*250+999 {
		t.Errorf("total %d", d.total)
	}
	same := r
	same.Lines = []RequestLine{{"tea", 5, 250}, {"cup", 1, 999}}
	if draft(t, same).hash != d.hash {
		t.Error("the same lines in another order are another request")
	}
	for name, change := range map[string]func(*Request){
		"quantity": func(r *Request) { r.Lines[0].Quantity++ },
		"price":    func(r *Request) { r.Lines[1].UnitPriceMinor++ },
		"SKU":      func(r *Request) { r.Lines[1].SKU = "mug" },
		"currency": func(r *Request) { r.Currency = "USD" },
		"window":   func(r *Request) { r.Window = time.Minute },
		"customer": func(r *Request) { r.CustomerID = "customer-2" },
	} {
		other := same
		other.Lines = slices.Clone(same.Lines)
		change(&other)
		if draft(t, other).hash == d.hash {
			t.Errorf("another %s is the same request", name)
		}
	}
}

// FuzzDraft: whatever a client sends is refused, or is a draft within its bounds.
func FuzzDraft(f *testing.F) {
	f.Add("key", "customer", "EUR", "tea", int64(1), int64(250), "cup", int64(2), int64(3), int64(0))
	f.Add("", "", "eur", "", int64(-1), int64(-1), "tea", int64(math.MaxInt64), int64(math.MaxInt64), int64(-1))
	f.Add("k", "c", "\xff€", "tea", int64(1), int64(1), "tea", int64(1_000_000), int64(1), int64(1))
	f.Fuzz(func(t *testing.T, key, customer, currency, sku1 string, n1, p1 int64, sku2 string, n2, p2, window int64) {
		d, err := NewDraft(Request{
			IdempotencyKey: key, CustomerID: customer, Currency: currency, Window: time.Duration(window),
			Lines: []RequestLine{{sku1, n1, p1}, {sku2, n2, p2}},
		})
		if err != nil {
			if len(fieldsOf(t, err)) == 0 {
				t.Error("no fields")
			}
			return
		}
		var total int64
		for i, l := range d.lines {
			if l.Quantity < 1 || l.Quantity > 1_000_000 || l.UnitPriceMinor < 0 || i > 0 && d.lines[i-1].SKU >= l.SKU {
				t.Errorf("lines %+v", d.lines)
			}
			total += l.Quantity * l.UnitPriceMinor
		}
		if total != d.total || total < 0 || len(d.hash) != 64 {
			t.Errorf("total %d, want %d", d.total, total)
		}
	})
}
