package devbroker

import "strings"

// CloneGroupOffset (314) gives a consumer group the offsets that another one has.
//
// Asked by: mqadmin cloneGroupOffset.
// Fields:   srcGroup, destGroup; topic, without which it is about all that the source has offsets in, and
//
//	offline may lack. Unless offline is true, topics are left out that an online source does not
//	subscribe to.
//
// Answers:  0, also if there is nothing to clone; 26 no group to give them to, which is created if that is on.
// Differs:  without a topic the real broker clones nothing, and it keeps offsets of groups that there are not.
func (b *Broker) cloneOffsets(r *request) (*response, error) {
	from, to, only := r.text("srcGroup"), r.text("destGroup"), strings.TrimSpace(r.optional("topic"))
	offline := r.boolean("offline")
	if err := r.err(); err != nil {
		return nil, err
	}
	source, target := b.groups[from], b.groupFor(to)
	if target == nil {
		return nil, errNoGroup(to)
	}
	if source == nil {
		return &response{}, nil
	}
	for key, offset := range source.offsets {
		left := only != "" && key.topic != only || !offline && len(source.subscriptions) > 0 && source.subscriptions[key.topic] == nil
		if !left && b.topics[key.topic] != nil {
			b.setOffset(target, key, offset)
		}
	}
	return &response{}, nil
}
