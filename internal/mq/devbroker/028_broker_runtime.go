package devbroker

import (
	"fmt"
	"strconv"

	"orderflow/internal/mq/remoting"
)

// servedVersion is the version of the real broker whose behaviour this one has, as
// numbers and names go in the protocol.
const (
	servedVersion     = 479
	servedVersionName = "V5_3_3"
)

// GetBrokerRuntimeInfo (28) gives numbers about the broker.
//
// Asked by: mqadmin clusterList and brokerStatus.
// Answers:  0 with remoting.Table.
// Differs:  nothing is counted per second, and nothing that is read: those numbers are 0. Those about
//
//	thread pools and disks are left out where mqadmin can do without.
func (b *Broker) brokerRuntime(*request) (*response, error) {
	const none = "0"
	values := map[string]string{
		"brokerActive": "true", "brokerVersion": strconv.Itoa(servedVersion), "brokerVersionDesc": servedVersionName,
		"putTps": "0.0 0.0 0.0", "getTransferredTps": "0.0 0.0 0.0", "timerEnqueueTps": "0.0", "timerDequeueTps": "0.0",
		"commitLogMaxOffset": strconv.FormatInt(b.physical, 10), "commitLogMinOffset": strconv.FormatInt(b.physical, 10),
		"earliestMessageTimeStamp": strconv.FormatInt(b.now(), 10),
	}
	for _, name := range []string{
		"msgPutTotalYesterdayMorning", "msgPutTotalTodayMorning",
		"msgGetTotalYesterdayMorning", "msgGetTotalTodayMorning", "msgGetTotalTodayNow",
		"dispatchBehindBytes", "pageCacheLockTimeMills", "timerReadBehind", "timerOffsetBehind",
		"sendThreadPoolQueueSize", "pullThreadPoolQueueSize", "ackThreadPoolQueueSize",
		"sendThreadPoolQueueHeadWaitTimeMills", "pullThreadPoolQueueHeadWaitTimeMills", "ackThreadPoolQueueHeadWaitTimeMills",
	} {
		values[name] = none
	}
	for _, e := range b.log {
		if e.frame != nil {
			values["commitLogMinOffset"] = strconv.FormatInt(e.physical, 10)
			values["earliestMessageTimeStamp"] = strconv.FormatInt(e.storedAt, 10)
			break
		}
	}
	put := int64(0)
	for _, t := range b.topics {
		for _, q := range t.queues {
			put += q.next()
		}
	}
	values["msgPutTotalTodayNow"] = strconv.FormatInt(put, 10)
	waiting := 0
	for _, q := range b.topics[topicTimer].queues {
		for _, e := range q.entries {
			if e.frame != nil {
				waiting++
			}
		}
	}
	values["timerCongestNum"] = strconv.Itoa(waiting)
	for _, q := range b.topics[topicSchedule].queues {
		if q.next() > 0 {
			values[fmt.Sprintf("scheduleMessageOffset_%d", q.id+1)] = fmt.Sprintf("%d,%d", q.min(), q.next())
		}
	}
	return jsonResponse(remoting.Table{Values: values})
}
