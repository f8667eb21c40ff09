package devbroker

import (
	"fmt"
	"strconv"

	"orderflow/internal/mq/remoting"
)

// fields takes the named fields of a request. The first one that is missing or
// does not parse is remembered, and all that follow are zero: a handler takes what
// it needs and asks once for the error.
type fields struct {
	ext    map[string]string
	failed error
}

// err is what is wrong with the fields, for the client.
func (f *fields) err() error { return f.failed }

func (f *fields) fail(format string, args ...any) {
	if f.failed == nil {
		f.failed = refuse(remoting.ResponseSystemError, format, args...)
	}
}

// text takes a field that must be there.
func (f *fields) text(name string) string {
	value, there := f.ext[name]
	if !there {
		f.fail("the custom field <%s> is null", name) // the real broker's words
	}
	return value
}

// optional takes a field that may be missing.
func (f *fields) optional(name string) string { return f.ext[name] }

// integer takes a number that must be there.
func (f *fields) integer(name string) int64 {
	value := f.text(name)
	if f.failed != nil {
		return 0
	}
	return f.number(name, value)
}

// integerOr takes a number that may be missing.
func (f *fields) integerOr(name string, otherwise int64) int64 {
	value := f.ext[name]
	if value == "" {
		return otherwise
	}
	return f.number(name, value)
}

func (f *fields) number(name, value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		f.fail("the custom field <%s> is not a number: %.40q", name, value)
	}
	return n
}

// int32 takes a number that must be there and fit.
func (f *fields) int32(name string) int {
	n := f.integer(name)
	if n != int64(int32(n)) {
		f.fail("the custom field <%s> is too large: %d", name, n)
		return 0
	}
	return int(n)
}

// boolean takes true or false, as Java reads it: everything else is false.
func (f *fields) boolean(name string) bool {
	value, err := strconv.ParseBool(f.ext[name])
	return err == nil && value
}

// answerFields makes the fields of an answer: name and value in turn.
func answerFields(pairs ...any) map[string]string {
	ext := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		ext[pairs[i].(string)] = fmt.Sprint(pairs[i+1])
	}
	return ext
}
