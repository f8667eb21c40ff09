package devbroker

import (
	"slices"
	"strings"

	"orderflow/internal/mq/remoting"
)

// UpdateBrokerConfig (25) changes settings while the broker runs.
//
// Asked by: mqadmin updateBrokerConfig.
// Body:     name=value in each line, as GetBrokerConfig gives them.
// Answers:  0 when all are changed; 29, and nothing is changed, if a name is not known, cannot be changed
//
//	while the broker runs, or its value is impossible.
//
// Differs:  the real broker ignores names that it does not know and values that it cannot parse. It
//
//	keeps the new settings; here they end with the process. Delay levels need a new broker in both.
//	Producers learn of a brokerPermission by the next route that they get, as with the real one.
func (b *Broker) updateBrokerConfig(r *request) (*response, error) {
	entries := configEntries()
	var changes []func(*settings)
	for line := range strings.Lines(string(r.cmd.Body)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(entries, func(e configEntry) bool { return e.name == name })
		switch {
		case i < 0:
			return nil, refuse(remoting.ResponseInvalidParameter, "there is no setting %.80q", name)
		case entries[i].parse == nil:
			return nil, refuse(remoting.ResponseInvalidParameter, "%s cannot be changed while the broker runs", name)
		}
		change, err := entries[i].parse(strings.TrimSpace(value))
		if err != nil {
			return nil, refuse(remoting.ResponseInvalidParameter, "%s: %v", name, err)
		}
		changes = append(changes, change)
	}
	for _, change := range changes {
		change(&b.settings)
	}
	return &response{}, nil
}
