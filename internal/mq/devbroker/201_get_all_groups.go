package devbroker

import (
	"encoding/json"

	"orderflow/internal/mq/remoting"
)

// GetAllSubscriptionGroupConfig (201) gives the settings of all consumer groups.
//
// Asked by: mqadmin; our Admin, because 352 can create the group that it asks about.
// Answers:  0 with remoting.GroupTable.
// Differs:  no dataVersion and no forbiddenTable; the groups for the real broker's own tools are only
//
//	there when they were used.
func (b *Broker) allGroups(*request) (*response, error) {
	table := remoting.GroupTable{Groups: make(map[string]json.RawMessage, len(b.groups))}
	for name, g := range b.groups {
		table.Groups[name] = g.raw
	}
	return jsonResponse(table)
}
