package inventory

import "orderflow/internal/event"

// trigger is what has happened to an order.
type trigger int

const (
	orderCreated trigger = iota + 1 // `created`
	orderClosed                     // `closed`, or a timer whose order is closed
	orderPaid                       // `paid`
	orderUnknown                    // a timer whose order does not exist
)

// untouched is no trigger: what arrived needs nothing to be done to the reservation.
const untouched trigger = 0

// String is the trigger's name in reasons and logs.
func (t trigger) String() string {
	switch t {
	case orderCreated:
		return "created"
	case orderClosed:
		return "closed"
	case orderPaid:
		return "paid"
	case orderUnknown:
		return "unknown"
	default:
		return "?"
	}
}

// action is what is done about it.
type action int

const (
	doReserve    action = iota + 1 // hold all lines, or reject the order naming what is short
	doSellAtOnce                   // hold and sell in one step, or park if it is short
	doEntomb                       // remember that the order is closed
	doRelease                      // give back what is held
	doSell                         // sell what is held
	doRepeat                       // change nothing, and say again what the state is
	doIgnore                       // change nothing and say nothing
	doPark                         // a contradiction: put the event aside for a human
)

// decision is an action and, where it parks, its reason.
type decision struct {
	action action
	reason string
}

// Reasons for which inventory parks an event. They are stable: metrics and tools
// know them.
const (
	ReasonClosedAfterSold     = "CLOSED_AFTER_SOLD"       // an order is closed whose stock is sold
	ReasonPaidButShort        = "PAID_BUT_SHORT"          // an order without reservation is paid, and stock is short
	ReasonPaidAfterRejected   = "PAID_AFTER_REJECTED"     // an order is paid whose stock was refused
	ReasonPaidAfterReleased   = "PAID_AFTER_RELEASED"     // an order is paid whose stock was given back
	ReasonReservedNoOrder     = "RESERVATION_NO_ORDER"    // stock is held for an order that does not exist
	ReasonSoldNoOrder         = "SOLD_NO_ORDER"           // stock was sold to an order that does not exist
	ReasonCreatedOrderUnknown = "ORDER_UNKNOWN"           // an order was created that does not exist
	ReasonUnknownStatus       = "UNKNOWN_STATUS"          // the row holds a status from the future
	ReasonStockContradiction  = "STOCK_BELOW_RESERVATION" // less is held of a SKU than its reservations say
)

// ParkReasons are all for which a handler of inventory parks.
func ParkReasons() []string {
	return append(event.ParkReasons(), ReasonClosedAfterSold, ReasonPaidButShort, ReasonPaidAfterRejected, ReasonPaidAfterReleased,
		ReasonReservedNoOrder, ReasonSoldNoOrder, ReasonCreatedOrderUnknown, ReasonUnknownStatus, ReasonStockContradiction)
}

// decide is the table of what an event does to a reservation: the one place
// where it is decided.
func decide(t trigger, s Status) decision {
	repeat, ignore := decision{action: doRepeat}, decision{action: doIgnore}
	switch t {
	case orderCreated:
		return states{
			none: decision{action: doReserve}, reserved: repeat, rejected: repeat, released: repeat, sold: repeat,
		}.pick(s)
	case orderClosed:
		return states{
			none: decision{action: doEntomb}, reserved: decision{action: doRelease}, rejected: repeat, released: repeat,
			sold: decision{doPark, ReasonClosedAfterSold},
		}.pick(s)
	case orderPaid:
		return states{
			none: decision{doSellAtOnce, ReasonPaidButShort}, reserved: decision{action: doSell},
			rejected: decision{doPark, ReasonPaidAfterRejected}, released: decision{doPark, ReasonPaidAfterReleased},
			sold: repeat,
		}.pick(s)
	case orderUnknown:
		return states{
			none: ignore, reserved: decision{doPark, ReasonReservedNoOrder}, rejected: ignore, released: ignore,
			sold: decision{doPark, ReasonSoldNoOrder},
		}.pick(s)
	default:
		return decision{doPark, ReasonUnknownStatus}
	}
}

// states is a row of the table: a decision for every state.
type states struct{ none, reserved, rejected, released, sold decision }

func (r states) pick(s Status) decision {
	switch s {
	case statusNone:
		return r.none
	case StatusReserved:
		return r.reserved
	case StatusRejected:
		return r.rejected
	case StatusReleased:
		return r.released
	case StatusSold:
		return r.sold
	default:
		return decision{doPark, ReasonUnknownStatus}
	}
}
