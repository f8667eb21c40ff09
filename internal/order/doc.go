// Package order keeps the orders and decides about them.
//
// The life of an order:
//
//	             stock reserved             paid in time
//	PLACED ───────────────────▶ RESERVED ─────────────────▶ PAID
//	   │                           │
//	   │ out of stock,             │ timeout,
//	   │ timeout, cancelled        │ cancelled
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
// Payment, cancellation, timeout and rejection may come at the same moment; the row
// count of the conditional UPDATE ([Tx.save]) says who won. The same statement says
// when somebody must look at the order again (schedule.go), and the transaction writes
// the change into the order's timeline (timeline.go), which is what [Service.Watch]
// reads. What is late by then, because a message got lost, is driven on by the
// sweeper (sweeper.go), which sends the event again or closes the order.
package order
