package devbroker

import (
	"maps"
	"slices"
	"strings"

	"orderflow/internal/mq/remoting"
)

// topicAttributes are the attributes that a topic can have, with their values. Of
// the real broker's, reserve.time is for its tiered storage only.
func topicAttributes() map[string][]string {
	return map[string][]string{
		remoting.AttributeMessageType: {"NORMAL", "DELAY", "TRANSACTION", "FIFO", "UNSPECIFIED", "MIXED"},
		"queue.type":                  {"SimpleCQ"},
		"cleanup.policy":              {"DELETE"},
	}
}

// changedAttributes applies changes, +name=value and -name separated by commas, to
// the attributes of a topic; have is nil for one that is being created.
func changedAttributes(have map[string]string, changes string) (map[string]string, error) {
	attributes := maps.Clone(have)
	if attributes == nil {
		attributes = map[string]string{}
	}
	if changes == "" {
		return attributes, nil
	}
	known, seen := topicAttributes(), map[string]bool{}
	for change := range strings.SplitSeq(changes, ",") {
		signed, value, adds := strings.Cut(change, "=")
		name := strings.TrimLeft(signed, "+-")
		_, there := attributes[name]
		switch {
		case adds && signed != "+"+name, !adds && signed != "-"+name:
			return nil, refuse(remoting.ResponseSystemError, "attributes: %.80q is neither +name=value nor -name", change)
		case seen[name]:
			return nil, refuse(remoting.ResponseSystemError, "attributes: alter duplication key. key: %s", name)
		case known[name] == nil:
			return nil, refuse(remoting.ResponseSystemError, "attributes: unsupported key: %.80s", name)
		case adds && !slices.Contains(known[name], value):
			return nil, refuse(remoting.ResponseSystemError, "attributes: value of %s is not in set: %v", name, known[name])
		case adds && value == "MIXED":
			return nil, refuse(remoting.ResponseInvalidParameter, "MIXED message type is not supported.")
		case !adds && !there:
			return nil, refuse(remoting.ResponseSystemError, "attributes: attempt to delete a nonexistent key: %s", name)
		}
		seen[name] = true
		if adds {
			attributes[strings.Clone(name)] = strings.Clone(value) // a field shares the memory of its whole header
		} else {
			delete(attributes, name)
		}
	}
	return attributes, nil
}
