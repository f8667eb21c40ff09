package main

import "orderflow/internal/inventory"

// The sentences of the page. A name of a table that has none fails "make generate".

func orderStates() map[string]string {
	return map[string]string{
		"PLACED":   "The order is accepted; inventory has not confirmed its stock yet.",
		"RESERVED": "Every line is held, and the customer may pay.",
		"PAID":     "It was paid in time; this is final.",
		"CLOSED":   "It has ended unpaid, for the reason in brackets; this is final, and what is held for it goes back.",
	}
}

func orderEvents() map[string]string {
	return map[string]string{
		"place":   "CreateOrder has committed the order, together with its `created` event.",
		"reserve": "Inventory confirms that it holds every line.",
		"pay":     "A payment of the right amount has come within the payment window.",
		"expire":  "The payment window has ended: the timer, a late `created` event or a sweeper has asked whether the order is unpaid.",
		"reject":  "Inventory says that it holds nothing for the order, because a line is short or unknown; of a RESERVED order it says so only after it has forgotten the reservation, when its database was restored from a backup.",
		"cancel":  "The customer does not want it any more.",
	}
}

func reservationStates() map[string]string {
	return map[string]string{
		noReservation: "Nothing of the order has arrived yet.",
		"RESERVED":    "Every line is held: it counts as reserved in the stock of its SKU.",
		"REJECTED":    "A line was short or unknown; nothing is held.",
		"RELEASED":    "What was held went back; or nothing ever was, because the order was closed before its `created` event came.",
		"SOLD":        "The order is paid: its lines count as sold.",
	}
}

func reservationEvents() map[string]string {
	return map[string]string{
		"created": "The order was placed.",
		"closed":  "The order was closed: its `closed` event has come, or order-srv has answered so to a timer, a late event or the sweeper.",
		"paid":    "The order was paid.",
		"unknown": "A timer has come, or the sweeper has asked, and order-srv has no such order: its transaction never committed.",
	}
}

func reservationActions() map[string]string {
	return map[string]string{
		"reserve":      "Hold all lines; or none, and remember which were short or unknown.",
		"sell at once": "Hold and sell all lines in one step, because `paid` has overtaken `created`.",
		"entomb":       "Write a RELEASED row without lines, so that a `created` that comes later holds nothing.",
		"release":      "Give back what is held.",
		"sell":         "Count what is held as sold.",
		"repeat":       "Change nothing, and tell order-srv the present state again.",
		"ignore":       "Change nothing and say nothing.",
		"park":         "Change nothing, and put the event aside for a person: it contradicts what is known.",
	}
}

func parkReasons() map[string]string {
	return map[string]string{
		inventory.ReasonClosedAfterSold:   "The order is closed, but its stock is sold.",
		inventory.ReasonPaidButShort:      "The order is paid and has no reservation, and a line is short.",
		inventory.ReasonPaidAfterRejected: "The order is paid, but its stock was refused.",
		inventory.ReasonPaidAfterReleased: "The order is paid, but its stock was given back.",
		inventory.ReasonReservedNoOrder:   "Stock is held for an order that does not exist.",
		inventory.ReasonSoldNoOrder:       "Stock was sold to an order that does not exist.",
	}
}
