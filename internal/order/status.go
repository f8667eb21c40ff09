package order

import "slices"

// Status is where an order stands. The numbers are stored; never change them.
type Status int16

// The statuses.
const (
	Placed   Status = 1 // accepted, stock not confirmed yet
	Reserved Status = 2 // every line is held, waiting for payment
	Paid     Status = 3 // paid in time; final
	Closed   Status = 4 // closed for a reason; final
)

// String is the status in messages and logs.
func (s Status) String() string {
	switch s {
	case Placed:
		return "PLACED"
	case Reserved:
		return "RESERVED"
	case Paid:
		return "PAID"
	case Closed:
		return "CLOSED"
	}
	return "UNKNOWN"
}

// CloseReason says why an order is closed. The numbers are stored.
type CloseReason int16

// The reasons.
const (
	NotClosed  CloseReason = 0
	Timeout    CloseReason = 1 // not paid within the payment window
	Cancelled  CloseReason = 2 // by the customer
	OutOfStock CloseReason = 3 // inventory could not reserve every line
)

// String is the reason in messages and logs.
func (r CloseReason) String() string {
	switch r {
	case NotClosed:
		return ""
	case Timeout:
		return "TIMEOUT"
	case Cancelled:
		return "CANCELLED"
	case OutOfStock:
		return "OUT_OF_STOCK"
	}
	return "UNKNOWN"
}

// StockState is what inventory last confirmed. The numbers are stored.
type StockState int16

// The stock states.
const (
	StockUnknown  StockState = 0 // inventory has said nothing yet
	StockReserved StockState = 1
	StockRejected StockState = 2
	StockReleased StockState = 3
	StockSold     StockState = 4
)

// stockWanted is the state that the stock of an order in status s should come to. A
// placed order waits for a decision, whichever.
func (s Status) stockWanted() StockState {
	switch s {
	case Reserved:
		return StockReserved
	case Paid:
		return StockSold
	case Closed:
		return StockReleased
	}
	return StockUnknown
}

// satisfies tells whether inventory has done what it should, which is wanted. Stock
// that was refused was never taken: a closed order needs no more than that.
func (s StockState) satisfies(wanted StockState) bool {
	switch wanted {
	case StockReserved, StockSold:
		return s == wanted
	case StockReleased:
		return s == StockReleased || s == StockRejected
	}
	return false
}

// settled tells whether inventory has confirmed what the order's status asks for.
func (o Order) settled() bool { return o.StockState.satisfies(o.Status.stockWanted()) }

// open tells whether the order can still be paid or closed.
func (o Order) open() bool { return o.Status == Placed || o.Status == Reserved }

// final tells whether nothing can change any more.
func (o Order) final() bool { return (o.Status == Paid || o.Status == Closed) && o.settled() }

// String is the state in timelines and logs.
func (s StockState) String() string {
	switch s {
	case StockUnknown:
		return "nothing"
	case StockReserved:
		return "RESERVED"
	case StockRejected:
		return "REJECTED"
	case StockReleased:
		return "RELEASED"
	case StockSold:
		return "SOLD"
	}
	return "UNKNOWN"
}

// Transition is one change of an order's status.
type Transition struct {
	Name   string
	From   []Status
	To     Status
	Reason CloseReason // of a transition to Closed
}

// CanLeave tells whether the transition starts at s.
func (t Transition) CanLeave(s Status) bool { return slices.Contains(t.From, s) }

// The status table: every change of status there is. What is not in it does not
// happen.

// transitionReserve follows inventory's confirmation.
func transitionReserve() Transition {
	return Transition{Name: "reserve", From: []Status{Placed}, To: Reserved}
}

// transitionPay follows a payment in time; only what is reserved can be paid.
func transitionPay() Transition {
	return Transition{Name: "pay", From: []Status{Reserved}, To: Paid}
}

// transitionExpire follows the end of the payment window.
func transitionExpire() Transition {
	return Transition{Name: "expire", From: []Status{Placed, Reserved}, To: Closed, Reason: Timeout}
}

// transitionReject follows inventory's word that it holds nothing for the order. Of an
// order that was confirmed it can say so only after it has lost its memory (a backup
// was restored), and then the order cannot be kept either.
func transitionReject() Transition {
	return Transition{Name: "reject", From: []Status{Placed, Reserved}, To: Closed, Reason: OutOfStock}
}

// transitionCancel follows the customer's wish.
func transitionCancel() Transition {
	return Transition{Name: "cancel", From: []Status{Placed, Reserved}, To: Closed, Reason: Cancelled}
}

// Transitions lists the whole table.
func Transitions() []Transition {
	return []Transition{transitionReserve(), transitionPay(), transitionExpire(), transitionReject(), transitionCancel()}
}
