package remoting

import (
	"encoding/json"
	"fmt"
)

// DecodeBody parses a JSON body. The Java servers write maps whose keys are
// numbers or objects without quotes, {0:"10.0.0.1:10911"} and {{"queueId":0}:7};
// it understands those, too: such a key becomes a string with what stood there.
// The error wraps ErrMalformed.
func DecodeBody(body []byte, into any) error {
	if err := json.Unmarshal(quoteKeys(body), into); err != nil {
		return fmt.Errorf("%w: body: %w", ErrMalformed, err)
	}
	return nil
}

// quoteKeys puts quotes around the keys that are bare numbers or objects. What
// is no JSON otherwise stays so.
func quoteKeys(body []byte) []byte {
	out := make([]byte, 0, len(body)+16)
	var open []byte // the brackets that are open
	atKey := false  // behind a bracket or comma of an object
	for i := 0; i < len(body); {
		b, end := body[i], i+1
		switch {
		case b == '"':
			end, atKey = stringEnd(body, i), false
		case b == ' ' || b == '\t' || b == '\n' || b == '\r':
		case atKey && (b == '{' || b == '-' || b >= '0' && b <= '9'):
			if end = bareKey(body, i); end == i {
				return body // there cannot be a value here
			}
			out = appendString(out, string(body[i:end]))
			i, atKey = end, false
			continue
		default:
			open, atKey = nest(open, b)
		}
		out = append(out, body[i:end]...)
		i = end
	}
	return out
}

// nest follows the brackets and tells whether a key comes next.
func nest(open []byte, b byte) (now []byte, atKey bool) {
	switch b {
	case '{', '[':
		return append(open, b), b == '{'
	case '}', ']':
		return open[:max(0, len(open)-1)], false
	default:
		return open, b == ',' && len(open) > 0 && open[len(open)-1] == '{'
	}
}

// bareKey returns the end of the number or object at i, and i if no colon
// follows.
func bareKey(body []byte, i int) int {
	end := i
	if body[i] == '{' {
		end = objectEnd(body, i)
	} else {
		for end++; end < len(body) && body[end] >= '0' && body[end] <= '9'; {
			end++
		}
	}
	if end < len(body) && body[end] == ':' {
		return end
	}
	return i
}

// objectEnd returns the index behind the object at i, or the body's length if it
// does not end.
func objectEnd(body []byte, i int) int {
	for depth := 0; i < len(body); {
		switch body[i] {
		case '"':
			i = stringEnd(body, i)
			continue
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return len(body)
}

// stringEnd returns the index behind the string at i, or the body's length if it
// does not end.
func stringEnd(body []byte, i int) int {
	for i++; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(body)
}
