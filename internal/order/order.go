package order

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/currency"

	"orderflow/internal/apierror"
	"orderflow/internal/event"
)

// The bounds of a new order; those of a line's SKU and quantity are in package
// event, for inventory has them too.
const (
	MaxKeyLength      = 128
	MaxCustomerLength = 64
	MaxPaymentLength  = 64
	MaxUnitPrice      = 1_000_000_000_000 // minor units
)

// NoTimeout is the ExpiresAt of an order that is exempt from the timeout: a time that
// every protocol can carry and no clock reaches (the end of the year 9999). All
// conditions on the payment window hold with it as they stand.
const NoTimeout int64 = 253_402_300_799_000

// Order is an order: the row, and its lines. All times are milliseconds since
// the Unix epoch, all amounts minor units.
type Order struct {
	ID             string `gorm:"primaryKey"`
	CustomerID     string
	IdempotencyKey string
	RequestHash    string
	Status         Status
	CloseReason    CloseReason
	Currency       string
	TotalMinor     int64
	WindowMs       int64
	ExpiresAt      int64 // the due time of the acknowledged timer
	CreatedAt      int64 `gorm:"autoCreateTime:false"`
	UpdatedAt      int64 `gorm:"autoUpdateTime:false"`
	Version        int64
	StockState     StockState
	StockVersion   int64      // of the reservation, as last confirmed
	StockWanted    StockState // what it should be by now; see Status.stockWanted
	CancelReason   string     // in the customer's words
	SweepAt        int64      // when the sweeper has to look at the row
	SweepCount     int64      // how often it has found the stock not as it should be, since the last change of status
	Traceparent    *string    // the span of the call that placed it; nil if none is recorded

	Lines []Line `gorm:"-"` // sorted by SKU
}

// TableName is the table of the rows.
func (Order) TableName() string { return "orders" }

// Line is one SKU of an order.
type Line struct {
	OrderID        string `gorm:"primaryKey"`
	SKU            string `gorm:"column:sku;primaryKey"`
	Quantity       int64
	UnitPriceMinor int64
	Shortage       Shortage
	Available      int64 // with a shortage: units that were available
}

// TableName is the table of the rows.
func (Line) TableName() string { return "order_lines" }

// Shortage says whether a line was the reason for a rejection. The numbers are stored.
type Shortage int16

// The shortages.
const (
	NoShortage Shortage = 0
	TooFew     Shortage = 1
	UnknownSKU Shortage = 2
)

// Request is what a client asks for.
type Request struct {
	IdempotencyKey string
	CustomerID     string
	Currency       string
	Lines          []RequestLine
	Window         time.Duration // 0: the default
}

// RequestLine is one line as the client sent it.
type RequestLine struct {
	SKU            string
	Quantity       int64
	UnitPriceMinor int64
}

// Draft is a request that holds: within all bounds, equal SKUs merged, lines
// sorted by SKU, the total computed. Only NewDraft makes one.
type Draft struct {
	request Request
	lines   []Line
	total   int64
	hash    string
}

// NewDraft checks a request. The error is an InvalidArgument that names every
// field that is out of its bounds.
func NewDraft(r Request) (Draft, error) {
	var v apierror.Violations
	if !event.IsVisibleASCII(r.IdempotencyKey, MaxKeyLength) {
		v.Add("idempotency_key", "must be 1 to %d visible ASCII characters", MaxKeyLength)
	}
	if !event.IsVisibleASCII(r.CustomerID, MaxCustomerLength) {
		v.Add("customer_id", "must be 1 to %d visible ASCII characters", MaxCustomerLength)
	}
	if !isCurrency(r.Currency) {
		v.Add("currency_code", "must be an ISO 4217 code of three upper-case letters")
	}
	if r.Window < 0 || r.Window%time.Millisecond != 0 {
		v.Add("payment_window", "must be a positive number of whole milliseconds")
	}
	lines := mergeLines(r.Lines, &v)
	total, fits := sum(lines)
	if !fits {
		v.Add("lines", "the total is more than %d minor units", int64(math.MaxInt64))
	}
	if err := v.Err(); err != nil {
		return Draft{}, err
	}
	d := Draft{request: r, lines: lines, total: total}
	d.hash = d.fingerprint()
	return d, nil
}

// checkID adds a violation if id cannot be that of an order.
func checkID(v *apierror.Violations, id string) {
	if !event.IsOrderID(id) {
		v.Add("order_id", "must be a UUID in its canonical form")
	}
}

func isCurrency(code string) bool {
	if len(code) != 3 || strings.ToUpper(code) != code {
		return false
	}
	_, err := currency.ParseISO(code)
	return err == nil
}

// mergeLines checks the lines, adds those of one SKU up, and sorts by SKU, the
// order in which inventory locks.
func mergeLines(lines []RequestLine, v *apierror.Violations) []Line {
	if len(lines) < 1 || len(lines) > event.MaxLines {
		v.Add("lines", "must be 1 to %d lines, got %d", event.MaxLines, len(lines))
		return nil
	}
	var merged []Line
	index := make(map[string]int, len(lines))
	for i, l := range lines {
		at := fmt.Sprintf("lines[%d]", i)
		if !event.IsSKU(l.SKU) {
			v.Add(at+".sku", `must be 1 to %d letters, digits, "-", "_", "." or ":"`, event.MaxSKULength)
		}
		if l.Quantity < 1 || l.Quantity > event.MaxQuantity {
			v.Add(at+".quantity", "must be 1 to %d, got %d", event.MaxQuantity, l.Quantity)
			continue
		}
		if l.UnitPriceMinor < 0 || l.UnitPriceMinor > MaxUnitPrice {
			v.Add(at+".unit_price_minor", "must be 0 to %d, got %d", int64(MaxUnitPrice), l.UnitPriceMinor)
			continue
		}
		first, seen := index[l.SKU]
		if !seen {
			index[l.SKU] = len(merged)
			merged = append(merged, Line{SKU: l.SKU, Quantity: l.Quantity, UnitPriceMinor: l.UnitPriceMinor})
			continue
		}
		if merged[first].UnitPriceMinor != l.UnitPriceMinor {
			v.Add(at+".unit_price_minor", "differs from that of an earlier line with the same SKU")
		}
		if merged[first].Quantity += l.Quantity; merged[first].Quantity > event.MaxQuantity {
			v.Add(at+".quantity", "the lines of this SKU add up to more than %d", event.MaxQuantity)
		}
	}
	slices.SortFunc(merged, func(a, b Line) int { return strings.Compare(a.SKU, b.SKU) })
	return merged
}

// sum is the total of the lines, if it fits an int64.
func sum(lines []Line) (total int64, fits bool) {
	var t uint64
	for _, l := range lines {
		high, low := bits.Mul64(uint64(l.Quantity), uint64(l.UnitPriceMinor))
		next, carry := bits.Add64(t, low, 0)
		if high != 0 || carry != 0 || next > math.MaxInt64 {
			return 0, false
		}
		t = next
	}
	return int64(t), true
}

// fingerprint is a hash of what the request means, by which a repetition is told
// from another request with the same key. Lines that were split or sorted
// otherwise mean the same.
func (d Draft) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d\n", d.request.CustomerID, d.request.Currency, d.request.Window.Milliseconds())
	for _, l := range d.lines {
		fmt.Fprintf(h, "%q %d %d\n", l.SKU, l.Quantity, l.UnitPriceMinor)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// latestCommit is when an order must be committed, in milliseconds: a tenth of its
// window, or a second, before its timer is due. The timer would find no order
// otherwise, and would not come again.
func (o Order) latestCommit() int64 { return o.ExpiresAt - min(o.WindowMs/10, 1000) }

// order makes the row of the draft, due at the end of the window.
func (d Draft) order(id string, window time.Duration, now time.Time) Order {
	at := now.UnixMilli()
	o := Order{
		ID: id, CustomerID: d.request.CustomerID, IdempotencyKey: d.request.IdempotencyKey, RequestHash: d.hash,
		Status: Placed, Currency: d.request.Currency, TotalMinor: d.total,
		WindowMs: window.Milliseconds(), ExpiresAt: at + window.Milliseconds(),
		CreatedAt: at, UpdatedAt: at, Version: 1,
	}
	for _, l := range d.lines {
		l.OrderID = id
		o.Lines = append(o.Lines, l)
	}
	return o
}
