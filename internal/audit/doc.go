// Package audit compares the books of order-srv and inventory-srv and says what does
// not fit: which order or SKU, what is expected, what is, and what mends it.
//
// It reads both databases through the services' streams, in the order of their ids,
// side by side, and holds no more than a page of each: a lock nowhere, whatever the
// number of orders.
//
// The two halves are read at two moments, of a system that goes on, and between them
// messages are on their way. So:
//
//	read skew  A disagreement makes an order a suspect, no more. It is read again
//	           after a grace period, and reported only if both rows disagree still
//	           and neither has moved: then they have stood side by side for so long.
//	           One that moved is a suspect again, up to maxLooks times.
//	messages   What order-srv itself waits for (a PAID order whose stock is not
//	           confirmed as sold) is no disagreement while it waits, until it has
//	           waited longer than Config.OverdueAfter. What no message on its way can
//	           put right (a CLOSED order whose stock is sold) is one at once.
//
// What is summed up per SKU is read in one statement and needs neither.
package audit
