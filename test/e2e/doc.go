// Package e2e runs the real programs against a real broker and a real database,
// and looks at them from outside: over gRPC, at their admin addresses, at their
// exit codes, and with read-only SQL. It kills and pauses them at the named points
// of the protocol, cuts their connections, and injects messages of its own.
//
// It needs two environment variables, and every test that misses one is skipped:
//
//	ORDERFLOW_TEST_NAMESRV=127.0.0.1:9876
//	ORDERFLOW_TEST_MYSQL=mysql://orderflow_test:orderflow_test@tcp(127.0.0.1:13306)/
//
// The broker must have the delay levels 3s, 1m and 10m and ask after undecided
// half messages within seconds, as that of "make stack-up" does.
//
// A test works on a system: one deployment with topics and databases of its own.
// Tests that disturb nobody share one, and tell their orders apart by customer
// and SKU. Each test ends with the audit (audit_test.go).
package e2e
