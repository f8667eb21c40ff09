package filter

import "strings"

// properties are what a test writes as "a=1;b=x": there is no way to write one
// with an empty value, as a broker has none.
type properties map[string]string

func (p properties) Property(name string) (string, bool) {
	value, ok := p[name]
	return value, ok
}

func parseProperties(s string) properties {
	p := properties{}
	for pair := range strings.SplitSeq(s, ";") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			p[name] = value
		}
	}
	return p
}
