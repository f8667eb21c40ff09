package devbroker_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// setting reads a setting of the broker.
func (p *peer) setting(name string) string {
	p.t.Helper()
	for line := range strings.Lines(string(p.call(remoting.RequestGetBrokerConfig, nil, nil).Body)) {
		if key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "="); key == name {
			return value
		}
	}
	p.t.Fatalf("there is no setting %s", name)
	return ""
}

func TestSettingsAreShown(t *testing.T) {
	t.Parallel()
	b := devbroker.RunT(t, devbroker.WithDelayLevels("1s 2m"), devbroker.WithTransactionTimeout(7*time.Second),
		devbroker.WithCheckInterval(8*time.Second), devbroker.WithMaxChecks(9), devbroker.WithRetention(36*time.Hour))
	p := dial(t, b)
	for name, want := range map[string]string{
		"messageDelayLevel": "1s 2m", "transactionTimeOut": "7000", "transactionCheckInterval": "8000",
		"transactionCheckMax": "9", "fileReservedTime": "36", "autoCreateTopicEnable": "false",
		"autoCreateSubscriptionGroup": "true", "brokerPermission": "6", "aclEnable": "false",
		"brokerName": "devbroker", "brokerClusterName": "DefaultCluster", "namesrvAddr": b.Addr(),
		"maxMessageSize": "4194304",
	} {
		if got := p.setting(name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	if p.field("version", remoting.RequestGetBrokerConfig, nil) == "" {
		t.Error("the field version is missing")
	}
}

func TestSettingsAreChanged(t *testing.T) {
	t.Parallel()
	b := devbroker.RunT(t)
	p := dial(t, b)
	p.call(remoting.RequestUpdateBrokerConfig, nil, []byte(
		"# all that can be\ntransactionTimeOut = 1\n\ntransactionCheckInterval=2\r\ntransactionCheckMax=3\nautoCreateTopicEnable=true\nautoCreateSubscriptionGroup=false"))
	for name, want := range map[string]string{
		"transactionTimeOut": "1", "transactionCheckInterval": "2", "transactionCheckMax": "3",
		"autoCreateTopicEnable": "true", "autoCreateSubscriptionGroup": "false",
	} {
		if got := p.setting(name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	p.store("created-by-use", "x")
	p.refused(remoting.ResponseGroupNotExist, remoting.RequestPullMessage, pulling("nobody", "created-by-use", 0, 0), nil)
	p.call(remoting.RequestUpdateBrokerConfig, nil, nil)
	for _, c := range []struct{ body, remark string }{
		{"nothing=1", `"nothing"`},
		{"x", `"x"`},
		{"messageDelayLevel=1s", "messageDelayLevel cannot be changed"},
		{"brokerName=x", "brokerName cannot be changed"},
		{"transactionCheckMax=0", "transactionCheckMax: 0"},
		{"transactionCheckMax=99999999999", "transactionCheckMax"},
		{"transactionTimeOut=x", "transactionTimeOut"},
		{"transactionTimeOut=-1", "transactionTimeOut: -1"},
		{"transactionTimeOut=9223372036854775807", "transactionTimeOut"},
		{"transactionTimeOut", "transactionTimeOut"},
		{"autoCreateTopicEnable=maybe", "autoCreateTopicEnable"},
		{"brokerPermission=8", "brokerPermission: 8"},
	} {
		body := "transactionCheckMax=77\n" + c.body // is not changed, either
		answersWith(t, c.body, p.try(remoting.RequestUpdateBrokerConfig, nil, []byte(body)), remoting.ResponseInvalidParameter, c.remark)
	}
	if got := p.setting("transactionCheckMax"); got != "3" {
		t.Errorf("a request that was refused has set transactionCheckMax to %s", got)
	}
}

func TestABrokerLosesItsPermissions(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.call(remoting.RequestUpdateTopic, but(topicFields("ordered", 1), "order", "true"), nil)
	p.store("orders", "a")
	perm := func() int {
		var route remoting.Route
		p.body(&route, remoting.RequestGetRoute, ext("topic", "orders"))
		return route.Queues[0].Perm
	}
	p.call(remoting.RequestUpdateBrokerConfig, nil, []byte("brokerPermission=4"))
	if got := perm(); got != remoting.PermRead {
		t.Errorf("routes have the permission %d", got)
	}
	p.store("orders", "b") // of itself the broker takes it
	p.refused(remoting.ResponseNoPermission, remoting.RequestSendMessage, sending("ordered"), []byte("x"))
	p.refused(remoting.ResponseNoPermission, remoting.RequestSendBack, ext("group", "readers", "offset", 0, "delayLevel", 0), nil)
	p.call(remoting.RequestPullMessage, pulling("readers", "orders", 0, 0), nil)
	p.call(remoting.RequestUpdateBrokerConfig, nil, []byte("brokerPermission=2"))
	if got := perm(); got != remoting.PermWrite {
		t.Errorf("routes have the permission %d", got)
	}
	p.refused(remoting.ResponseNoPermission, remoting.RequestPullMessage, pulling("readers", "orders", 0, 0), nil)
	p.store("ordered", "x")
	p.call(remoting.RequestUpdateBrokerConfig, nil, []byte("brokerPermission=6"))
	p.call(remoting.RequestPullMessage, pulling("readers", "orders", 0, 0), nil)
}

func TestNumbersAboutTheBroker(t *testing.T) {
	t.Parallel()
	b, manual := startManual(t)
	p := dial(t, b)
	numbers := func() map[string]string {
		var table remoting.Table
		p.body(&table, remoting.RequestGetBrokerRuntime, nil)
		return table.Values
	}
	check := func(want map[string]string) {
		t.Helper()
		got := numbers()
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s is %q, want %q", name, got[name], value)
			}
		}
	}
	now := func() string { return strconv.FormatInt(manual.Now().UnixMilli(), 10) }
	check(map[string]string{"msgPutTotalTodayNow": "0", "earliestMessageTimeStamp": now(), "brokerVersionDesc": "V5_3_3", "brokerActive": "true"})
	first := now()
	p.store("orders", "a")
	manual.Advance(time.Second)
	p.store("orders", "b", "DELAY", "2")
	p.store("orders", "c", "TIMER_DELAY_SEC", "60")
	check(map[string]string{
		"msgPutTotalTodayNow": "3", "earliestMessageTimeStamp": first, "timerCongestNum": "1",
		"commitLogMinOffset": "0", "scheduleMessageOffset_2": "0,1",
	})
	b.Advance(time.Minute)
	check(map[string]string{"timerCongestNum": "0", "scheduleMessageOffset_2": "1,1"})
	// What mqadmin parses must be numbers.
	for _, name := range []string{
		"msgPutTotalYesterdayMorning", "msgPutTotalTodayMorning", "msgGetTotalYesterdayMorning", "msgGetTotalTodayMorning",
		"msgGetTotalTodayNow", "timerReadBehind", "timerOffsetBehind", "earliestMessageTimeStamp", "commitLogMaxOffset",
	} {
		if _, err := strconv.ParseInt(numbers()[name], 10, 64); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheNameServerKeepsValues(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	value := func(namespace, key string) string {
		answer := p.try(remoting.RequestGetKV, ext("namespace", namespace, "key", key), nil)
		if answer.Code == remoting.ResponseQueryNotFound {
			return "none"
		}
		return answer.Ext["value"]
	}
	put := func(namespace, key, value string) {
		p.call(remoting.RequestPutKV, ext("namespace", namespace, "key", key, "value", value), nil)
	}
	put("n", "a", "1")
	put("n", "b", "2")
	put("other", "a", "3")
	put("n", "a", "4")
	for _, c := range []struct{ namespace, key, want string }{{"n", "a", "4"}, {"n", "b", "2"}, {"other", "a", "3"}, {"n", "c", "none"}, {"x", "a", "none"}} {
		if got := value(c.namespace, c.key); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.namespace, c.key, got, c.want)
		}
	}
	var table remoting.Table
	if p.body(&table, remoting.RequestGetKVList, ext("namespace", "n")); len(table.Values) != 2 || table.Values["a"] != "4" {
		t.Errorf("values %v", table.Values)
	}
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	p = dial(t, b)
	p.call(remoting.RequestDeleteKV, ext("namespace", "n", "key", "a"), nil)
	p.call(remoting.RequestDeleteKV, ext("namespace", "n", "key", "a"), nil)
	put("n", "b", "") // no value is none
	if value("n", "a") != "none" || value("n", "b") != "none" || value("other", "a") != "3" {
		t.Errorf("after deleting: %s %s %s", value("n", "a"), value("n", "b"), value("other", "a"))
	}
	p.refused(remoting.ResponseQueryNotFound, remoting.RequestGetKVList, ext("namespace", "n"), nil)
	p.refused(remoting.ResponseSystemError, remoting.RequestPutKV,
		ext("namespace", "n", "key", "a", "value", strings.Repeat("x", 16<<10)), nil)
}
