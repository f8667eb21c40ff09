package filter

import (
	"strings"

	"orderflow/internal/mq/remoting"
)

// AllTags subscribes to messages of any tag and to those without one.
const AllTags = "*"

const tagSeparator = "||"

// everything lets all messages through.
type everything struct{}

func (everything) Match(Properties) bool { return true }

// anyTag lets messages through that have one of the tags.
type anyTag map[string]struct{}

func (tags anyTag) Match(p Properties) bool {
	tag, ok := p.Property(remoting.PropertyTags)
	if !ok {
		return false
	}
	_, ok = tags[tag]
	return ok
}

// parseTags reads "a || b". Blanks alone are a subscription to nothing, and
// separators alone an error: both are the broker's way.
func parseTags(text string) (Expression, error) {
	if text == "" || text == AllTags {
		return everything{}, nil
	}
	tags, empty := anyTag{}, true
	for part := range strings.SplitSeq(text, tagSeparator) {
		empty = empty && part == ""
		if tag := trim(part); tag != "" {
			tags[tag] = struct{}{}
		}
	}
	if empty {
		return nil, &SyntaxError{Text: tagSeparator, Reason: "no tag"}
	}
	return tags, nil
}

// trim cuts off what Java takes for blank: U+0020 and all below it.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
}
