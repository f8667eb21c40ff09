// Package realbroker tells a test where a real RocketMQ is: the environment variable
// ORDERFLOW_TEST_NAMESRV holds its name server's host:port (make stack-up, make
// stack-env). What a test makes there has a name of its own, so that tests run side
// by side and on a broker that others use.
//
// "make test-real" runs the packages whose tests import this one, or databasetest.
package realbroker

import (
	"os"
	"testing"
)

// Variable names the environment variable with the address of the name server.
const Variable = "ORDERFLOW_TEST_NAMESRV"

// NameServer returns the address. The test is skipped if there is none.
func NameServer(t testing.TB) string {
	t.Helper()
	address := os.Getenv(Variable)
	if address == "" {
		t.Skipf("no real broker: set %s to a name server's host:port (make stack-up, make stack-env)", Variable)
	}
	return address
}
