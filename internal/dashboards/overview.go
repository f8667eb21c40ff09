package main

// all are the dashboards.
func all() []dashboard { return []dashboard{overview(), messages()} }

// ours are the calls that people make, and not the health checks.
const ours = `grpc_type="unary", grpc_service!~"grpc[.].*"`

// faults are the codes that are our fault.
const faults = `grpc_code=~"Unknown|Internal|Unavailable|DataLoss|DeadlineExceeded"`

func overview() dashboard {
	return dashboard{
		name: "overview", title: "orderflow: overview",
		description: "Is it healthy? Where is the backlog? Red lines are alerts, which docs/runbook.md explains.",
		rows: []row{
			{"Is it healthy?", 4, health()},
			{"Are calls answered?", 8, calls()},
			{"What becomes of orders?", 8, orders()},
			{"Where is the backlog?", 8, backlog()},
			{"What heals itself, what waits for a person, what runs short?", 8, care()},
		},
	}
}

func health() []panel {
	return []panel{
		{
			title: "Alerts", description: "How many alerts fire? 0 is normal.", unit: "short", stat: true, bad: 1,
			queries: []query{{`count(ALERTS{alertstate="firing"}) or vector(0)`, ""}},
		},
		{
			title: "Replicas", description: "How many replicas of each service answer?", unit: "short", stat: true,
			queries: []query{{`sum by (job) (up{job=~"order-srv|inventory-srv|notify"})`, "{{job}}"}},
		},
		{
			title: "Calls that fail", description: "Which part of the calls of the last 5 minutes failed by our fault?", unit: "percentunit", stat: true, bad: 0.05,
			queries: []query{{`(sum(rate(grpc_server_handled_total{` + ours + `, ` + faults + `}[5m])) or vector(0))` +
				` / clamp_min(sum(rate(grpc_server_handled_total{` + ours + `}[5m])), 0.001)`, ""}},
		},
		{
			title: "Oldest unconfirmed", description: "How long has an order waited for inventory? Seconds are normal.", unit: "s", stat: true, bad: 300,
			queries: []query{{`max(order_oldest_age_seconds{what="unconfirmed"})`, ""}},
		},
		{
			title: "Messages that wait", description: "How many messages wait at the broker for all groups? Some are normal, and a burst is no fault.", unit: "short", stat: true,
			queries: []query{{`sum(max by (group, topic) (mq_consumer_lag_messages))`, ""}},
		},
		{
			title: "Parked", description: "How many events wait for a person? 0 is normal.", unit: "short", stat: true, bad: 1,
			queries: []query{{`sum(max by (job, group, reason) (parked_messages)) or vector(0)`, ""}},
		},
		{
			title: "Stock drift", description: "By how many units are the books of stock wrong? Anything but 0 is a defect.", unit: "short", stat: true, bad: 1,
			queries: []query{{`sum(max by (what) (abs(inventory_stock_drift_units)))`, ""}},
		},
	}
}

func calls() []panel {
	return []panel{
		{
			title: "Calls", description: "How much is asked of the services, by method?", unit: "reqps",
			queries: []query{{`sum by (grpc_method) (rate(grpc_server_handled_total{` + ours + `}[$__rate_interval])) > 0`, "{{grpc_method}}"}},
		},
		{
			title: "Calls refused, by code", description: "What is refused, and whose fault is it? Unavailable, Internal, Unknown and DeadlineExceeded are ours.", unit: "reqps",
			queries: []query{{`sum by (job, grpc_code) (rate(grpc_server_handled_total{` + ours + `, grpc_code!="OK"}[$__rate_interval])) > 0`, "{{job}} {{grpc_code}}"}},
		},
		{
			title: "Duration (95 %)", description: "How long do calls take, all but one of twenty? CreateOrder that waits for its stock counts with its wait.", unit: "s",
			queries: []query{{`histogram_quantile(0.95, sum by (grpc_method, le) (rate(grpc_server_handling_seconds_bucket{grpc_method=~"CreateOrder|PayOrder|CloseIfUnpaid", ` + ours + `}[$__rate_interval])))`, "{{grpc_method}}"}},
		},
	}
}

func orders() []panel {
	return []panel{
		{
			title: "Transitions", description: "Into which status do orders come, per second, and why are they closed?", unit: "ops",
			queries: []query{{`sum by (to, reason) (rate(order_transitions_total[$__rate_interval]))`, "{{to}} {{reason}}"}},
		},
		{
			title: "Open orders", description: "How many orders can still be paid or closed? PLACED is a moment, unless inventory is away.", unit: "short",
			queries: []query{
				{`max by (status) (orders_open)`, "{{status}}"},
				{`max(inventory_reservations_open)`, "reservations that hold stock"},
			},
		},
		{
			title: "From placed to reserved", description: "How long does a customer wait until the stock is certain? Half of the orders, and 95 %.", unit: "s",
			queries: []query{
				{`histogram_quantile(0.5, sum by (le) (rate(order_created_to_reserved_seconds_bucket[$__rate_interval])))`, "50 %"},
				{`histogram_quantile(0.95, sum by (le) (rate(order_created_to_reserved_seconds_bucket[$__rate_interval])))`, "95 %"},
			},
		},
	}
}

func backlog() []panel {
	return []panel{
		{
			title: "Messages that wait", description: "For which consumer group does a backlog grow, and does it drain?", unit: "short",
			queries: []query{{`sum by (group) (max by (group, topic) (mq_consumer_lag_messages))`, "{{group}}"}},
		},
		{
			title: "The oldest that wait", description: "Since when does the oldest order wait, for what? overdue and unconfirmed are near 0 as a rule.", unit: "s",
			queries: []query{
				{`max by (what) (order_oldest_age_seconds)`, "{{what}}"},
				{`max(inventory_oldest_overdue_age_seconds)`, "stock held past its window"},
				{`max(parked_oldest_age_seconds)`, "parked"},
			},
		},
		timerLag(),
	}
}

func care() []panel {
	return []panel{
		{
			title: "Sweepers", description: "Do the sweepers heal what they find? A message was lost wherever they find something.", unit: "ops",
			queries: []query{
				{`sum(rate(order_sweeper_found_total{what!="settled"}[$__rate_interval])) + sum(rate(inventory_sweeper_found_total[$__rate_interval]))`, "found"},
				{`sum(rate(order_sweeper_healed_total[$__rate_interval])) + sum(rate(inventory_sweeper_healed_total[$__rate_interval]))`, "healed"},
				{`sum(rate(order_sweeper_failed_total[$__rate_interval])) + sum(rate(inventory_sweeper_failed_total[$__rate_interval]))`, "not now"},
			},
		},
		{
			title: "For a person", description: "What is parked, by service, and how many refunds are due?", unit: "short",
			queries: []query{
				{`sum by (job) (max by (job, group, reason) (parked_messages))`, "parked: {{job}}"},
				{`max(order_refunds_due)`, "refunds due"},
			},
		},
		{
			title: "Database connections", description: "Do callers wait for a connection? Busy is normal, waiting is not.", unit: "short",
			queries: []query{
				{`sum by (job) (rate(go_sql_wait_duration_seconds_total[$__rate_interval]))`, "{{job}}: callers that wait"},
				{`sum by (job) (go_sql_in_use_connections)`, "{{job}}: in use"},
			},
		},
	}
}
