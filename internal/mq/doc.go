// Package mq is the RocketMQ client made safe. It is the only package that
// imports rocketmq-client-go v2.1.2, a release of 2023 whose traps it hides:
//
//   - a TransactionProducer that receives its check-backs: it has a client of its
//     own, and warms up within the first second, or the broker would not know
//     whom to ask;
//   - the caller's context, argument and result reach ExecuteLocalTransaction
//     and come back through the wrapper, never through shared fields;
//   - deadlines that hold: the client waits 4 times 3 seconds, whatever it is told;
//   - a Producer that sends with and without waiting, many at once, in order,
//     delayed by level and to the time, and in each way says what is certain; the
//     client refuses sends while it knows a broker's queues and not yet its address;
//   - a Consumer whose handlers say what they mean, whose panics cost nothing,
//     whose send-backs are checked, which can be suspended, and which drains before
//     it stops; for a cluster or as a broadcast, at once or in order, of some tags
//     or of what an SQL expression lets through;
//   - an Admin that creates topics with their types and groups, checks what the
//     broker answered and reads it back, and knows the broker's delay levels.
//
// Each send, delivery, local transaction and check-back is a span; package tracing says
// which of them go on with a trace, and which begin one.
//
// Packages of the domain know none of it but the vocabulary in package message,
// and declare interfaces of their own for what they need.
package mq
