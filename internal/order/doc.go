// Package order keeps the orders and decides about them.
//
// The life of an order:
//
//	             stock reserved             paid in time
//	PLACED ───────────────────▶ RESERVED ─────────────────▶ PAID
//	   │                           │
//	   │ out of stock, timeout     │ timeout
//	   └──────────▶ CLOSED ◀───────┘
//
// Every change of the status but PLACED → RESERVED is the local transaction of
// its event, and they all go through one path ([Service.transition]): send a half
// message, run one conditional UPDATE inside ExecuteLocalTransaction
// ([Listener.ExecuteLocalTransaction]), commit or roll the half message back. What
// the broker does not learn that way it asks ([Listener.CheckLocalTransaction]),
// and a barrier row in the same database transaction is the only witness.
//
// Placing an order ([Service.Place]) also sends its timer, and the database
// transaction opens only when the broker has acknowledged both: an order
// without a timer cannot exist, and a timer without an order does nothing.
//
// Payment, timeout and rejection may come at the same moment; the row count of
// the conditional UPDATE says who won.
package order
