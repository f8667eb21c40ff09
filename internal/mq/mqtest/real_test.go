package mqtest_test

import (
	"os"
	"testing"

	"orderflow/internal/mq/mqtest"
)

// realNameServer names the variable with a real name server's address.
const realNameServer = "ORDERFLOW_TEST_NAMESRV"

// TestApacheRocketMQ runs the list on the broker that is the oracle for it.
func TestApacheRocketMQ(t *testing.T) {
	address := os.Getenv(realNameServer)
	if address == "" {
		t.Skipf("no real broker: set %s to a name server's host:port (make stack-up, make stack-env)", realNameServer)
	}
	mqtest.Run(t, mqtest.Features{}, mqtest.Endpoint{NameServer: address})
}
