package audit

import (
	"fmt"
	"strings"
)

// Code says what kind of violation it is. Codes are stable: scripts know them.
type Code string

// The codes, of orders and their reservations, of SKUs, and of messages.
const (
	OrderOverdue            Code = "ORDER_OVERDUE"             // open, and past its payment window
	OrderUnsettled          Code = "ORDER_UNSETTLED"           // order-srv was not told what inventory has done
	ReservationMissing      Code = "RESERVATION_MISSING"       // an open or paid order has none
	OpenWithoutStock        Code = "OPEN_WITHOUT_STOCK"        // open, and its stock is refused or given back
	OpenButSold             Code = "OPEN_BUT_SOLD"             // not paid, and its stock is sold
	PaidNotSold             Code = "PAID_NOT_SOLD"             // paid, and its stock is held still
	PaidWithoutStock        Code = "PAID_WITHOUT_STOCK"        // paid, and its stock is refused or given back
	ClosedStillHolds        Code = "CLOSED_STILL_HOLDS"        // closed, and its stock is held still
	ClosedButSold           Code = "CLOSED_BUT_SOLD"           // closed, and its stock is sold
	LinesDiffer             Code = "LINES_DIFFER"              // what is held or sold is not what was ordered
	ReservationWithoutOrder Code = "RESERVATION_WITHOUT_ORDER" // stock is held or sold, and there is no order
	StatusUnknown           Code = "STATUS_UNKNOWN"            // of a newer program, say

	StockRowMissing      Code = "STOCK_ROW_MISSING"      // lines or receipts name a SKU that has no row
	StockNegative        Code = "STOCK_NEGATIVE"         // less than nothing
	StockSumWrong        Code = "STOCK_SUM_WRONG"        // received is not available + reserved + sold
	StockReceiptsDiffers Code = "STOCK_RECEIPTS_DIFFERS" // received is not the sum of receipts and adjustments
	StockReservedDiffers Code = "STOCK_RESERVED_DIFFERS" // reserved is not what RESERVED reservations hold
	StockSoldDiffers     Code = "STOCK_SOLD_DIFFERS"     // sold is not what SOLD reservations say

	MessageParked Code = "MESSAGE_PARKED" // put aside by a service, and not replayed or discarded
)

// What became of a violation under Config.Repair.
const (
	Mended = "mended" // by messages that were sent again
	Left   = "left"   // it was tried, or is nothing that messages mend
)

// Violation is something that is not as it should be.
type Violation struct {
	Code     Code   `json:"code"`
	OrderID  string `json:"orderId,omitempty"`
	SKU      string `json:"sku,omitempty"`
	ParkedID string `json:"parkedId,omitempty"`
	Service  string `json:"service,omitempty"` // where the message is parked
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
	Mend     string `json:"mend"`             // the command that mends it, or who must look at what
	Repair   string `json:"repair,omitempty"` // what became of it under Config.Repair

	redrive bool // the order's event, sent again, mends it
}

// mendRepair is the command that sends the events of orders again.
const mendRepair = "orderctl audit --repair"

// ofOrder makes a violation of an order. What is not mended by sending events again
// has to be looked at, beginning with the order's timeline.
func ofOrder(code Code, id string, redrive bool, expected, actual string) Violation {
	mend := mendRepair
	if !redrive {
		mend = personMust("orderctl order timeline " + id)
	}
	return Violation{Code: code, OrderID: id, Expected: expected, Actual: actual, Mend: mend, redrive: redrive}
}

// ofSKU makes a violation of a SKU's books, which no message mends.
func ofSKU(code Code, sku, expected, actual string) Violation {
	return Violation{Code: code, SKU: sku, Expected: expected, Actual: actual, Mend: personMust("orderctl stock get " + sku)}
}

func personMust(look string) string { return "a person must look: " + look }

// line is one SKU of an order or a reservation.
type line interface {
	GetSku() string
	GetQuantity() int64
}

// maxShownLines bounds a description: an order has up to 100 lines.
const maxShownLines = 5

// describeLines says what the lines are, the first ones of them.
func describeLines[L line](lines []L) string {
	if len(lines) == 0 {
		return "no lines"
	}
	texts := make([]string, 0, maxShownLines+1)
	for i, l := range lines {
		if i == maxShownLines {
			texts = append(texts, fmt.Sprintf("and %d more", len(lines)-i))
			break
		}
		texts = append(texts, fmt.Sprintf("%d × %s", l.GetQuantity(), l.GetSku()))
	}
	return strings.Join(texts, ", ")
}
