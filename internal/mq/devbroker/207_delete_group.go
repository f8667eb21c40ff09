package devbroker

// DeleteSubscriptionGroup (207) deletes a consumer group with its offsets.
//
// Asked by: mqadmin deleteSubGroup, which deletes its %RETRY% and %DLQ% topics by requests of their
//
//	own; our Admin.
//
// Fields:   groupName; cleanOffset may lack.
// Answers:  0, also if there is no such group.
// Differs:  the offsets go, whatever cleanOffset says; the real broker keeps them for a group of the
//
//	same name. Members stay if groups are created by their use: the real broker creates this one
//	anew at their next pull.
func (b *Broker) deleteGroup(r *request) (*response, error) {
	name := r.text("groupName")
	if err := r.err(); err != nil {
		return nil, err
	}
	old := b.groups[name]
	if old == nil {
		return &response{}, nil
	}
	b.record(changeNoGroup, []byte(name))
	delete(b.groups, name)
	if len(old.members) > 0 {
		if g := b.groupFor(name); g != nil {
			g.members, g.subscriptions = old.members, old.subscriptions
			g.kind, g.model, g.from = old.kind, old.model, old.from
		}
	}
	return &response{}, nil
}
