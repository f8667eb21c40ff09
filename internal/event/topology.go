// Package event is the vocabulary of the broker: which topics, tags and groups
// there are, and how an envelope of 1 to 64 events becomes a body and is taken
// apart again.
package event

// Tag says what happened to the orders of a message. Every tag belongs to one
// topic.
type Tag string

// The tags.
const (
	TagCreated Tag = "created" // order-events: the order was placed
	TagPaid    Tag = "paid"    // order-events: the order was paid
	TagClosed  Tag = "closed"  // order-events: the order was closed

	TagTimeout Tag = "timeout" // order-timeouts: the payment window has ended

	TagReserved Tag = "reserved" // stock-events: every line is held
	TagRejected Tag = "rejected" // stock-events: a line was short or unknown
	TagReleased Tag = "released" // stock-events: what was held was given back
	TagSold     Tag = "sold"     // stock-events: what was held is sold
)

// PropertyBarrier is the message property that carries the id of a half
// message's barrier row.
const PropertyBarrier = "barrier"

// Names are the topics and groups of one deployment. Several deployments can
// share a broker if each has a prefix of its own.
type Names struct {
	OrderEvents   string // TRANSACTION topic: the life of an order
	OrderTimeouts string // DELAY topic: payment timers
	StockEvents   string // NORMAL topic: the life of a reservation

	OrderTransactions string // producer group of order-srv's half messages
	OrderTimers       string // producer group of order-srv's timers
	InventoryEvents   string // producer group of inventory-srv's stock events

	InventoryOrderEvents   string // consumer group of inventory-srv on OrderEvents
	InventoryOrderTimeouts string // consumer group of inventory-srv on OrderTimeouts
	OrderStockEvents       string // consumer group of order-srv on StockEvents

	// Consumer groups of what the broker gives up.
	DrainInventoryOrderEvents   string // of inventory-srv on the dead letters of InventoryOrderEvents
	DrainInventoryOrderTimeouts string // of inventory-srv on the dead letters of InventoryOrderTimeouts
	DrainOrderStockEvents       string // of order-srv on the dead letters of OrderStockEvents
	DrainHalfMessages           string // of order-srv on the half messages that nobody decided about
}

// NewNames returns the names of the deployment with the prefix, which may be
// empty.
func NewNames(prefix string) Names {
	return Names{
		OrderEvents:            prefix + "order-events",
		OrderTimeouts:          prefix + "order-timeouts",
		StockEvents:            prefix + "stock-events",
		OrderTransactions:      prefix + "order-srv-transactions",
		OrderTimers:            prefix + "order-srv-timers",
		InventoryEvents:        prefix + "inventory-srv-events",
		InventoryOrderEvents:   prefix + "inventory-srv-order-events",
		InventoryOrderTimeouts: prefix + "inventory-srv-order-timeouts",
		OrderStockEvents:       prefix + "order-srv-stock-events",

		DrainInventoryOrderEvents:   prefix + "inventory-srv-drain-order-events",
		DrainInventoryOrderTimeouts: prefix + "inventory-srv-drain-order-timeouts",
		DrainOrderStockEvents:       prefix + "order-srv-drain-stock-events",
		DrainHalfMessages:           prefix + "order-srv-drain-half-messages",
	}
}

// TopicType is the kind of messages that a topic is declared for; a RocketMQ 5
// proxy enforces it.
type TopicType string

// The topic types, as the broker's attribute message.type spells them.
const (
	Normal      TopicType = "NORMAL"
	Delay       TopicType = "DELAY"
	Transaction TopicType = "TRANSACTION"
)

// Topic is a topic to create.
type Topic struct {
	Name string
	Type TopicType
}

// Topics lists what must exist before a service starts.
func (n Names) Topics() []Topic {
	return []Topic{
		{Name: n.OrderEvents, Type: Transaction},
		{Name: n.OrderTimeouts, Type: Delay},
		{Name: n.StockEvents, Type: Normal},
	}
}

// ConsumerGroups lists the consumer groups that must exist before a service
// starts: one per service and topic, and those that drain what the broker gives up.
func (n Names) ConsumerGroups() []string {
	return []string{
		n.InventoryOrderEvents, n.InventoryOrderTimeouts, n.OrderStockEvents,
		n.DrainInventoryOrderEvents, n.DrainInventoryOrderTimeouts, n.DrainOrderStockEvents, n.DrainHalfMessages,
	}
}

// orderTags and stockTags are the tags of the envelopes that have several.
func orderTags() []Tag { return []Tag{TagCreated, TagPaid, TagClosed} }
func stockTags() []Tag { return []Tag{TagReserved, TagRejected, TagReleased, TagSold} }
