package filter

// isCondition reports whether a node is true, false or unknown, and nothing else.
func isCondition(n node) bool {
	switch n := n.(type) {
	case property, negation:
		return false
	case constant:
		return n.value.kind == valueTruth || n.value.kind == valueUnknown
	}
	return true
}

// condition returns the node as a condition.
func condition(n node, at token) (node, error) {
	if name, ok := n.(property); ok {
		return presence(name), nil
	}
	if !isCondition(n) {
		return nil, refuse(at, "a condition expected, this is a value")
	}
	return n, nil
}

// checkOrdered checks that a node can be less or more than something.
func checkOrdered(n node, at token) error {
	if c, ok := n.(constant); ok && c.value.number() || !ok && !isCondition(n) {
		return nil
	}
	return refuse(at, "neither a number nor a property")
}
