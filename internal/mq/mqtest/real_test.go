package mqtest_test

import (
	"testing"

	"orderflow/internal/mq/mqtest"
	"orderflow/internal/mq/realbroker"
)

// TestApacheRocketMQ runs the list on the broker that is the oracle for it.
func TestApacheRocketMQ(t *testing.T) {
	mqtest.Run(t, mqtest.Features{}, mqtest.Endpoint{NameServer: realbroker.NameServer(t)})
}
