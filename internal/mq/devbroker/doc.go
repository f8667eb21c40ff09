// Package devbroker is a RocketMQ name server and broker for tests and development:
// in this process, in pure Go, on the real wire protocol, for the unmodified clients.
// It is to RocketMQ what miniredis is to Redis and kfake is to Kafka.
//
//	b := devbroker.RunT(t)                    // or Start; it listens on a free port
//	b.CreateTopic("orders", 4, "TRANSACTION")
//	… use b.Addr() as the name server …
//	b.Advance(30 * time.Minute)               // whatever is due by then happens now
//	b.Inject(devbroker.Fault{…})              // lose an answer, cut a connection, …
//	b.Inspect()                               // what it holds
//
// As a program it is "orderctl broker".
//
// # What is served
//
// A file for each request code, named after it (010_send_message.go), says who sends
// it, what the fields are, which codes answer, and what differs from Apache RocketMQ
// 5.3.3. Together they serve the Go client v2.1.2, and the Java client and mqadmin of
// 5.3.3, with headers of either encoding:
//
//   - topics, consumer groups and their settings, routes, clusters, queries of them;
//   - plain, one-way, batched, ordered, delayed (levels and timers) and half messages;
//   - pulls that wait, tag and SQL92 filters, offsets, resets, rebalancing, broadcast,
//     locks for ordered consumption, redeliveries and dead letters;
//   - check-backs, with their intervals, immunity and end in TRANS_CHECK_MAX_TIME_TOPIC;
//   - queries by key, unique key and id; connections, progress, statistics that can be
//     known; signed requests and TLS.
//
// Not served are, among others, POP consumption and with it the gRPC proxy,
// request-reply, slaves and other brokers, static topics, ACL administration and
// message traces: they are answered with code 3, "not supported". DIFFERENCES.md lists
// them, and every known difference in what is served; package mqtest holds it to that
// by running one list of cases against both brokers.
//
// # How it works
//
// One lock guards all of the state (state.go). A handler runs with the lock held and
// never waits; each connection has a goroutine that reads, handles and answers, and one
// that writes what comes from elsewhere (conn.go). What happens later, the delivery of a
// delayed message or a check-back, is on one schedule (schedule.go) that goes by the
// broker's Clock. With a data folder every change of the state is a record of an
// append-only log (journal.go, package wal), and an answer goes out when its record is
// safe. What a client can make the broker keep is bounded (bounds.go), but for messages
// and offsets; how many connections there are is not.
package devbroker
