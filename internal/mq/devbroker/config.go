package devbroker

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"orderflow/internal/mq/remoting"
)

// configEntry is a setting by the real broker's name.
type configEntry struct {
	name string
	get  func(*Broker) string
	// parse makes the change of a new value; nil if it cannot be changed while the
	// broker runs.
	parse func(value string) (func(*settings), error)
}

// configEntries are the settings that GetBrokerConfig shows, by their names.
func configEntries() []configEntry {
	return []configEntry{
		{"aclEnable", func(b *Broker) string { return fmt.Sprint(b.settings.accessKey != "") }, nil},
		{"autoCreateSubscriptionGroup", func(b *Broker) string { return fmt.Sprint(b.settings.createGroups) },
			parsed(strconv.ParseBool, func(s *settings, on bool) { s.createGroups = on })},
		{"autoCreateTopicEnable", func(b *Broker) string { return fmt.Sprint(b.settings.createTopics) },
			parsed(strconv.ParseBool, func(s *settings, on bool) { s.createTopics = on })},
		{"brokerClusterName", constant(clusterName), nil},
		{"brokerIP1", func(b *Broker) string { return b.addr.Addr().String() }, nil},
		{"brokerId", constant(remoting.MasterID), nil},
		{"brokerName", constant(brokerName), nil},
		{"brokerPermission", func(b *Broker) string { return fmt.Sprint(b.settings.permission) },
			parsed(parsePermission, func(s *settings, perm int) { s.permission = perm })},
		{"brokerRole", constant("ASYNC_MASTER"), nil},
		{"enablePropertyFilter", constant("true"), nil},
		{"fileReservedTime", func(b *Broker) string { return fmt.Sprint(int64(b.settings.retention / time.Hour)) }, nil},
		{"listenPort", func(b *Broker) string { return fmt.Sprint(b.addr.Port()) }, nil},
		{"maxMessageSize", func(b *Broker) string { return fmt.Sprint(b.settings.maxMessage) }, nil},
		{"messageDelayLevel", func(b *Broker) string { return b.settings.levelTable }, nil},
		{"namesrvAddr", func(b *Broker) string { return b.addr.String() }, nil},
		{"storePathRootDir", func(b *Broker) string { return b.settings.data }, nil},
		{"timerMaxDelaySec", func(*Broker) string { return fmt.Sprint(int64(maxTimerDelay / time.Second)) }, nil},
		{"timerWheelEnable", constant("true"), nil},
		{"transactionCheckInterval", func(b *Broker) string { return fmt.Sprint(b.settings.checkInterval.Milliseconds()) },
			parsed(parseMillis, func(s *settings, d time.Duration) { s.checkInterval = d })},
		{"transactionCheckMax", func(b *Broker) string { return fmt.Sprint(b.settings.maxChecks) },
			parsed(parseCount, func(s *settings, n int) { s.maxChecks = n })},
		{"transactionTimeOut", func(b *Broker) string { return fmt.Sprint(b.settings.transactionTimeout.Milliseconds()) },
			parsed(parseMillis, func(s *settings, d time.Duration) { s.transactionTimeout = d })},
	}
}

func constant(value string) func(*Broker) string { return func(*Broker) string { return value } }

// parsed makes the parse function of a setting from what parses its value and what
// sets it.
func parsed[V any](parse func(string) (V, error), set func(*settings, V)) func(string) (func(*settings), error) {
	return func(text string) (func(*settings), error) {
		value, err := parse(text)
		if err != nil {
			return nil, err
		}
		return func(s *settings) { set(s, value) }, nil
	}
}

// forbids tells whether the setting brokerPermission takes a permission away from
// all topics. As with the real broker it is in the routes, so that clients stop to
// send; the broker itself refuses pulls, redeliveries and sends to ordered topics.
func (b *Broker) forbids(permission int) bool { return b.settings.permission&permission == 0 }

// parsePermission parses the bits of a permission.
func parsePermission(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err == nil && n&^(remoting.PermRead|remoting.PermWrite) != 0 {
		err = fmt.Errorf("%d is neither 0, 2 (write), 4 (read) nor 6", n)
	}
	return int(n), err
}

// parseMillis parses a time in milliseconds, which is longer than none.
func parseMillis(text string) (time.Duration, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && (n < 1 || n > math.MaxInt64/int64(time.Millisecond)) {
		err = fmt.Errorf("%d milliseconds", n)
	}
	return time.Duration(n) * time.Millisecond, err
}

// parseCount parses a number above zero.
func parseCount(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err == nil && n < 1 {
		err = fmt.Errorf("%d is not above zero", n)
	}
	return int(n), err
}
