// Package page is how lists are read page by page. A page token says behind which
// row the next page begins, so that pages do not shift when rows are inserted, and
// which query it belongs to.
//
// A token is no secret and grants nothing: it carries a checksum, so that one that
// was cut, made up by hand, or taken from another query is refused instead of
// giving a page that means nothing.
package page

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"orderflow/internal/apierror"
)

// The sizes of a page.
const (
	DefaultSize = 50
	MaxSize     = 500
)

// maxToken bounds what is decoded; the longest token of ours is much shorter.
const maxToken = 1024

// checksumSize is how many bytes of the checksum a token carries.
const checksumSize = 8

// Size is the page size that a request asks for: 0 asks for the default. What is out
// of bounds is added to v as a violation of page_size.
func Size(v *apierror.Violations, asked int32) int {
	if asked < 0 || asked > MaxSize {
		v.Add("page_size", "must be 0 to %d, got %d", MaxSize, asked)
	}
	if asked == 0 {
		return DefaultSize
	}
	return int(asked)
}

// Query is what a token belongs to: the name of the call and its filters. Two
// queries are the same if they print alike.
type Query struct {
	call    string
	filters string
}

// NewQuery names a query. Filters are whatever decides which rows it has and in
// which order.
func NewQuery(call string, filters ...any) Query {
	return Query{call: call, filters: fmt.Sprintf("%#v", filters)}
}

// Token is the token of the page behind a row, which is known by its position: the
// columns by which the query sorts.
func Token[P any](q Query, position P) (string, error) {
	text, err := json.Marshal(position)
	if err != nil {
		return "", fmt.Errorf("make page token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(q.checksum(text), text...)), nil
}

// Position reads a token: found is false for the empty one, which stands for the
// first page. One that this query was not answered with is added to v as a violation
// of page_token.
func Position[P any](v *apierror.Violations, q Query, token string) (position P, found bool) {
	if token == "" {
		return position, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(token) > maxToken || strings.ContainsAny(token, "\r\n") ||
		len(raw) < checksumSize ||
		subtle.ConstantTimeCompare(raw[:checksumSize], q.checksum(raw[checksumSize:])) == 0 ||
		json.Unmarshal(raw[checksumSize:], &position) != nil {
		v.Add("page_token", "is not one that this query was answered with; begin with the first page")
		return position, false
	}
	return position, true
}

func (q Query) checksum(position []byte) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q %s ", q.call, q.filters)
	h.Write(position)
	return h.Sum(nil)[:checksumSize]
}
