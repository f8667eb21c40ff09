package devbroker

import (
	"encoding/json"

	"orderflow/internal/mq/remoting"
)

// completeGroup reads the settings of a group. What they do not mention is as in a
// new group; all has what they say, also what this package does not know. There
// are no attributes that a group can have, so that a change of one is an error.
func completeGroup(raw []byte) (config remoting.GroupConfig, all json.RawMessage, err error) {
	var given map[string]json.RawMessage
	if err := remoting.DecodeBody(raw, &given); err != nil {
		return config, nil, err
	}
	config = remoting.NewGroupConfig("")
	if err := remoting.DecodeBody(raw, &config); err != nil {
		return config, nil, err
	}
	var attributes map[string]string
	if text := given["attributes"]; text != nil {
		if err := json.Unmarshal(text, &attributes); err != nil {
			return config, nil, refuse(remoting.ResponseSystemError, "attributes: %v", err)
		}
	}
	for name := range attributes {
		return config, nil, refuse(remoting.ResponseSystemError, "attributes: unsupported key: %.80s", name)
	}
	known, err := json.Marshal(config)
	if err != nil {
		return config, nil, err
	}
	complete := map[string]json.RawMessage{}
	if err := json.Unmarshal(known, &complete); err != nil {
		return config, nil, err
	}
	for name, value := range given {
		if _, there := complete[name]; !there {
			complete[name] = value
		}
	}
	all, err = json.Marshal(complete)
	return config, all, err
}
