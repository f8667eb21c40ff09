package inventory

// Rule is a cell of the decision table, for those who read it.
type Rule struct {
	Event  string   // created, closed, paid or unknown
	State  Status   // where the reservation stands; 0: there is none
	Action string   // what is done about it
	Next   []Status // where the reservation may stand afterwards; none: it stays as it is
	Reason string   // why the event is parked, if it is
}

// DecisionTable is every cell of the table that decide decides by, event by event.
func DecisionTable() []Rule {
	var all []Rule
	for what := orderCreated; what.String() != "?"; what++ {
		for status := statusNone; status.String() != "UNKNOWN"; status++ {
			d := decide(what, status)
			all = append(all, Rule{Event: what.String(), State: status, Action: d.action.String(), Next: d.action.leadsTo(), Reason: d.reason})
		}
	}
	return all
}

// String is the action's name in the table.
func (a action) String() string {
	switch a {
	case doReserve:
		return "reserve"
	case doSellAtOnce:
		return "sell at once"
	case doEntomb:
		return "entomb"
	case doRelease:
		return "release"
	case doSell:
		return "sell"
	case doRepeat:
		return "repeat"
	case doIgnore:
		return "ignore"
	case doPark:
		return "park"
	default:
		return "?"
	}
}

// leadsTo lists where a reservation may stand after the action; nothing if the
// action does not change it.
func (a action) leadsTo() []Status {
	switch a {
	case doReserve:
		return []Status{StatusReserved, StatusRejected}
	case doSellAtOnce, doSell:
		return []Status{StatusSold}
	case doEntomb, doRelease:
		return []Status{StatusReleased}
	default:
		return nil
	}
}
