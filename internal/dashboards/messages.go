package main

func messages() dashboard {
	return dashboard{
		name: "messages", title: "orderflow: messages",
		description: "What is sent, what becomes of it, and what gets stuck on its way.",
		rows: []row{
			{"Is everything sent?", 8, sending()},
			{"Is everything handled?", 8, handling()},
			{"What is late?", 8, lateness()},
			{"What comes twice, or not at all?", 8, exceptions()},
		},
	}
}

func sending() []panel {
	return []panel{
		{
			title: "Messages", description: "How much is sent to which topic, and does it fail? Half messages are in the next panel.", unit: "ops",
			queries: []query{{`sum by (topic, outcome) (rate(mq_messages_sent_total[$__rate_interval]))`, "{{topic}} {{outcome}}"}},
		},
		{
			title: "Half messages", description: "What becomes of half messages? commit is normal, rollback is a change that was refused, unknown is asked about by the broker.", unit: "ops",
			queries: []query{{`sum by (outcome) (rate(mq_half_messages_total[$__rate_interval]))`, "{{outcome}}"}},
		},
		{
			title: "Check-backs", description: "What is the broker told that asks about half messages? unknown means that the database does not answer.", unit: "ops",
			queries: []query{{`sum by (answer) (rate(mq_check_backs_total[$__rate_interval]))`, "{{answer}}"}},
		},
	}
}

func handling() []panel {
	return []panel{
		{
			title: "Deliveries", description: "How many messages does each group handle?", unit: "ops",
			queries: []query{{`sum by (group) (rate(mq_messages_handled_total{result="ok"}[$__rate_interval]))`, "{{group}}"}},
		},
		{
			title: "Deliveries that fail", description: "Which group fails, and for good (permanent: parked) or for now (retry: delivered again)?", unit: "ops",
			queries: []query{{`sum by (group, result) (rate(mq_messages_handled_total{result!="ok"}[$__rate_interval]))`, "{{group}} {{result}}"}},
		},
		{
			title: "Duration of handlers (95 %)", description: "How long does a message take, all but one of twenty? Beyond the handler's timeout it is delivered again.", unit: "s",
			queries: []query{{`histogram_quantile(0.95, sum by (group, le) (rate(mq_handle_duration_seconds_bucket[$__rate_interval])))`, "{{group}}"}},
		},
	}
}

func lateness() []panel {
	return []panel{
		{
			title: "Backlog by topic", description: "What waits at the broker? %RETRY% are redeliveries that wait for their turn, %DLQ% is what it has given up.", unit: "short",
			queries: []query{{`max by (group, topic) (mq_consumer_lag_messages)`, "{{group}}: {{topic}}"}},
		},
		{
			title: "Age of half messages (95 %)", description: "How old are half messages when the broker asks about them? Minutes mean that nobody knows what became of them.", unit: "s",
			queries: []query{{`histogram_quantile(0.95, sum by (group, le) (rate(mq_check_back_age_seconds_bucket[$__rate_interval])))`, "{{group}}"}},
		},
		timerLag(),
	}
}

func exceptions() []panel {
	return []panel{
		{
			title: "Delivered again", description: "How often is a message delivered once more, and how often had its work been done already?", unit: "ops",
			queries: []query{
				{`sum by (group) (rate(mq_redeliveries_total[$__rate_interval]))`, "again: {{group}}"},
				{`sum(rate(inventory_duplicates_absorbed_total[$__rate_interval]))`, "absorbed by inventory"},
				{`sum(rate(order_duplicates_absorbed_total{what="stock_event"}[$__rate_interval]))`, "absorbed by order-srv"},
			},
		},
		{
			title: "Out of order", description: "How often is an order closed before inventory has heard of it, and its created comes later?", unit: "ops",
			queries: []query{
				{`sum(rate(inventory_tombstones_total[$__rate_interval]))`, "closed first"},
				{`sum(rate(inventory_tombstone_hits_total[$__rate_interval]))`, "created afterwards"},
			},
		},
		{
			title: "Parked now", description: "What waits for a person, and why? See: orderctl parked list.", unit: "short",
			queries: []query{{`max by (group, reason) (parked_messages)`, "{{group}}: {{reason}}"}},
		},
		{
			title: "Notifications", description: "Do customers hear of their orders?", unit: "ops",
			queries: []query{{`sum by (outcome) (rate(notify_events_total[$__rate_interval]))`, "{{outcome}}"}},
		},
	}
}

// timerLag is on both dashboards.
func timerLag() panel {
	return panel{
		title: "Lag of timers", description: "How late are payment timers handled? Half of them, and 90 %.", unit: "s",
		queries: []query{
			{`histogram_quantile(0.5, sum by (le) (rate(inventory_timer_lag_seconds_bucket[$__rate_interval])))`, "50 %"},
			{`histogram_quantile(0.9, sum by (le) (rate(inventory_timer_lag_seconds_bucket[$__rate_interval])))`, "90 %"},
		},
	}
}
