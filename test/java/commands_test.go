package java

import "fmt"

// cluster is the name of the real broker's cluster by default, and of devbroker's.
const cluster = "DefaultCluster"

// held names the topic and the group of the program Hold; made those that mqadmin
// makes itself.
func (a *admin) held() string { return "java-held-" + a.suffix }
func (a *admin) made() string { return "java-made-" + a.suffix }

func (a *admin) creations() []adminCommand {
	return []adminCommand{
		{
			args: fmt.Sprintf("updateTopic -c %s -t %s -r 2 -w 2 -a +message.type=NORMAL", cluster, a.made()),
			want: []string{`create topic to [0-9.]+:\d+ success\.`, "readQueueNums=2", "perm=RW-"},
		},
		{
			args: fmt.Sprintf("updateSubGroup -c %s -g %s -r 3", cluster, a.made()),
			want: []string{`create subscription group to [0-9.]+:\d+ success\.`, "retryMaxTimes=3"},
		},
	}
}

func (a *admin) sending() adminCommand {
	return adminCommand{
		args: fmt.Sprintf("sendMessage -t %s -p hello -k key -c tag -b %s -i 1", a.made(), a.broker),
		want: []string{`(?m)^` + a.broker + ` +1 +SEND_OK +[0-9A-F]{32}`},
	}
}

// queries change nothing.
func (a *admin) queries() []adminCommand {
	message := []string{
		`Keys: +\[held\]`, `Tags: +\[tag\]`, `Queue Offset: +0`,
		`MessageTrack \[consumerGroup=` + a.held() + `, trackType=CONSUMED,`,
	}
	return append(a.listings(), []adminCommand{
		{
			args: fmt.Sprintf("queryMsgByKey -t %s -k held", a.held()),
			want: []string{`(?m)^` + a.uniqueID + ` +\d +0$`},
		},
		{args: fmt.Sprintf("queryMsgByKey -t %s -k none", a.held()), fails: true, want: []string{"CODE: 208"}},
		{args: fmt.Sprintf("queryMsgByUniqueKey -t %s -i %s", a.held(), a.uniqueID), want: message},
		{args: fmt.Sprintf("queryMsgById -t %s -i %s", a.held(), a.offsetID), want: message},
		{
			args: fmt.Sprintf("queryMsgById -t %s -i %s -g %s -d %s", a.held(), a.offsetID, a.held(), a.client),
			want: []string{"consumeResult=CR_SUCCESS"},
		},
		{
			args: fmt.Sprintf("consumeMessage -t %s", a.held()),
			want: []string{"Consume ok", `(?m)^MSGID: ` + a.uniqueID + ` .*BODY: held$`},
		},
	}...)
}

// listings show the cluster, its topics and its clients.
func (a *admin) listings() []adminCommand {
	connection := []string{a.client + ` +[0-9.]+:\d+ +JAVA +V5_3_3`}
	return []adminCommand{
		{args: "topicList", want: []string{`(?m)^` + a.held() + `$`, `(?m)^%RETRY%` + a.held() + `$`}},
		{args: "topicList -c", want: []string{`(?m)^` + cluster + ` +` + a.held() + ` +` + a.held() + ` *$`}},
		{args: "clusterList", want: []string{`(?m)^` + cluster + ` +` + a.broker + ` +0 +[0-9.]+:\d+ +V5_3_3 .* true *$`}},
		{args: "clusterList -m", want: []string{`(?m)^` + cluster + ` +` + a.broker + `( +\d+){4} *$`}},
		{args: "brokerStatus -c " + cluster, want: []string{`brokerVersionDesc +: V5_3_3`, `brokerActive +: true`}},
		{args: "getBrokerConfig -c " + cluster, want: []string{`(?m)^messageDelayLevel += +` + stackLevels + `$`}},
		{args: "topicStatus -t " + a.held(), want: []string{`(?m)^` + a.broker + ` +\d +0 +1 +\d{4}-\d\d-\d\d `}},
		{args: "topicRoute -t " + a.held(), want: []string{`"brokerName":"` + a.broker + `"`, `"readQueueNums":4,`}},
		{args: "consumerProgress", want: []string{`(?m)^` + a.held() + ` +1 +V5_3_3 +PUSH +CLUSTERING +\d+ +0$`}},
		{
			args: fmt.Sprintf("consumerProgress -g %s -s true", a.held()),
			want: []string{`(?m)^` + a.held() + ` +` + a.broker + ` +\d +1 +1 +[0-9.]+ +0 +0 +\d{4}-`, `Consume Diff Total: 0`},
		},
		{
			args: "consumerConnection -g " + a.held(),
			want: append(connection, `(?m)^`+a.held()+` +\*$`, "CONSUME_PASSIVELY", "CLUSTERING", "CONSUME_FROM_FIRST_OFFSET"),
		},
		{args: "consumerConnection -g " + a.made(), fails: true, want: []string{"CODE: (206|17)"}},
		{args: fmt.Sprintf("producerConnection -g java-producer-%s -t %s", a.suffix, a.held()), want: connection},
	}
}

func (a *admin) resets() []adminCommand {
	return []adminCommand{
		{
			args: fmt.Sprintf("resetOffsetByTime -g %s -t %s -s 0", a.held(), a.held()),
			want: []string{`(?m)(^` + a.broker + ` +\d +0 *\n){4}`},
		},
		{ // nobody is online
			args: fmt.Sprintf("resetOffsetByTime -g %s -t %s -s now", a.made(), a.made()),
			want: []string{`(?m)^` + a.broker + ` +1 +[1-9] *$`},
		},
	}
}

func (a *admin) deletions() []adminCommand {
	return []adminCommand{
		{
			args: fmt.Sprintf("deleteSubGroup -c %s -g %s -r true", cluster, a.made()),
			want: []string{`delete subscription group \[` + a.made() + `\] from broker \[[0-9.:]+\] in cluster \[` + cluster + `\] success`},
		},
		{
			args: fmt.Sprintf("deleteTopic -c %s -t %s", cluster, a.made()),
			want: []string{`delete topic \[` + a.made() + `\] from cluster`, `from NameServer success`},
		},
	}
}

func (a *admin) afterwards() []adminCommand {
	return []adminCommand{
		{args: "topicRoute -t " + a.made(), fails: true, want: []string{"CODE: 17"}},
		{args: "consumerProgress -g " + a.made(), fails: true, want: []string{"CODE: 17"}},
	}
}
