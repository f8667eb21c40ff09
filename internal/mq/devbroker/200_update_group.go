package devbroker

// UpdateSubscriptionGroup (200) creates a consumer group or changes its settings.
//
// Asked by: mqadmin updateSubGroup; our Admin.
// Body:     remoting.GroupConfig; what it does not mention is as in a new group, and what is not known
//
//	is kept. attributes are changes; there are none that a group can have.
//
// Answers:  0; 1 if the body cannot be parsed; 29 if it names no group or an impossible one.
// Differs:  names that no client could use are refused, and the group's %RETRY% topic is made at once,
//
//	not by its first member.
func (b *Broker) updateGroup(r *request) (*response, error) {
	return &response{}, b.putGroup(r.cmd.Body)
}
