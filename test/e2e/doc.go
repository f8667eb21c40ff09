// Package e2e runs both services, and looks at them from outside: over gRPC, at
// their admin addresses, at their exit codes, and with read-only SQL. It kills and
// pauses them at the named points of the protocol, cuts their connections, lets the
// broker fail, pushes the clock, and injects messages of its own. Only the test of
// the metrics edits rows, so that they have something to say.
//
// Each test is written once and runs on every stack that has what it needs, as a
// subtest that is named after the stack:
//
//	embedded   all in the test's process: both services and the embedded broker,
//	           on SQLite, with one clock
//	programs   the programs: both services and the embedded broker, each a process,
//	           on SQLite
//	real       both services as programs on Apache RocketMQ and MariaDB
//
// A test begins with what it needs of a stack (stacks_test.go), and logs why it does
// not run on the others. The first two stacks need nothing; the real one needs two
// environment variables, and is skipped without them:
//
//	ORDERFLOW_TEST_NAMESRV=127.0.0.1:9876
//	ORDERFLOW_TEST_MYSQL=mysql://orderflow_test:orderflow_test@tcp(127.0.0.1:13306)/
//
// The broker must have the delay levels 3s, 1m and 10m and ask after undecided
// half messages within seconds, as that of "make stack-up" does. The brokers that
// the tests start are set up like it.
//
// A test works on a system: one deployment with topics and databases of its own.
// Tests that disturb nobody share one per stack, and tell their orders apart by
// customer and SKU. Each test ends with the audit (audit_test.go).
//
// Go lets parallel tests go on from the last to the first. The longest, of brokers that
// go down, are in the last files, so that no processor waits for them alone in the end.
package e2e
