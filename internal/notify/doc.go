// Package notify tells customers what happens to their orders: placed, paid, closed
// and why. It is the example of a third consumer: order-srv publishes the life of every
// order on order-events, whoever wants to hear of it brings a consumer group of its own,
// and neither order-srv nor inventory-srv is changed, started anew or even told.
//
// What a new consumer needs is all here, and is what the two services do as well:
//
//   - a name for its group (Group), which it creates itself when it starts: each group
//     gets every message, however many other groups there are;
//   - a handler (Service.Handle) that takes envelopes apart with package event, which
//     parks what is broken and whatever comes from a future that it does not know;
//   - an identity for each event (EventID): an order is created, paid and closed once
//     each, so its id and the tag say which event it is, however often a message comes:
//     the broker redelivers, and the sweeper of order-srv sends events again;
//   - a table of what was done (Store), in a database of its own.
//
// A notification leaves the house, so no transaction can cover both its sending and the
// row that records it. The row comes first, and holds the event for one instance for as
// long as sending may take (Store.claim); then it is sent; then the row says so. Whoever
// dies before the end leaves a row that nobody holds any more after a while, and the next
// delivery sends again: the same bytes under the same event id, by which the receiver
// knows it. So a customer is told at least once, and twice only if a process died between
// the receiver's answer and the record, or was silent for longer than its claim, and the
// receiver does not look at ids.
//
// Events of one order may arrive in any order, as everywhere in this system; occurred_at
// says which came first.
//
// Where notifications go is a Sender: LogSender writes them to the log, WebhookSender
// posts them to an HTTP endpoint after the conventions of https://www.standardwebhooks.com,
// and Verify is for who receives them. A mail or push service would be a third one.
package notify
