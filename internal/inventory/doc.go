// Package inventory keeps the stock: it reserves it for orders, sells it when
// they are paid, and gives it back when they are closed unpaid.
//
// Everything that changes a reservation arrives as a message, at least once, in
// any order, possibly long after its time (consumer.go):
//
//   - created: hold every line of the order, or none (reserve.go). One that
//     arrives after the order's due time is decided like its timer (expired.go);
//   - paid: what is held is sold (settle.go);
//   - closed: what is held goes back (restock.go);
//   - timeout, 30 minutes after the order: the order service is asked to close
//     the order if it is unpaid, and only what it says is closed goes back
//     (timeout.go).
//
// What each of them does to a reservation in each state is one table, in
// decision.go. Around it every event takes the same way (transition.go): lock
// the reservation row, decide from it, change it and the stock in the same
// transaction, commit; then tell order-srv the reservation's state and version
// (publisher.go), and only then acknowledge. Whatever is interrupted comes again
// and finds the row: the row is the memory of what was done. So stock is held
// once, and returned once, however often a message comes. What came, and what became
// of it, is written down in the same transaction (timeline.go).
//
// And if no message comes? Each reservation says when somebody must look at it
// (lease.go); the sweeper then asks the order service, and does what the lost message
// would have done (sweeper.go).
//
// Locks are taken in one order everywhere, so that orders do not deadlock: the
// reservation row, then the stock rows sorted by SKU. (Two that meet a duplicate
// still can; InTx repeats whom InnoDB sends back.) Goods arrive, and are corrected, by
// gRPC (receipts.go, adjustments.go, grpc.go); books.go adds up what is known of each
// SKU, and audit.go checks that it balances.
package inventory
