package remoting

import (
	"errors"
	"fmt"
)

// Version is the protocol version that requests carry, the same as the stock Go
// client's (RocketMQ 4.5.2): brokers choose formats and features by it.
const Version = 317

// Command is one frame: a request or a response.
type Command struct {
	Code     int               // a request code, or the response code of an answer
	Language Language          // what the sender is written in
	Version  int               // the sender's protocol version
	Opaque   int32             // joins an answer to its request
	Flag     int               // bits, see FlagResponse and FlagOneWay
	Remark   string            // what went wrong, for people
	Ext      map[string]string // named fields; nil if there are none
	Body     []byte            // nil if there is none
}

// Bits of Command.Flag.
const (
	// FlagResponse marks an answer.
	FlagResponse = 1 << 0
	// FlagOneWay marks a request that wants no answer. The stock Go client never
	// sets it: its one-way requests look like all others.
	FlagOneWay = 1 << 1
)

// NewRequest makes a request of this package's language and version. The opaque
// is given by the connection that sends it.
func NewRequest(code int, ext map[string]string, body []byte) Command {
	return Command{Code: code, Language: Go, Version: Version, Ext: ext, Body: body}
}

// IsResponse tells whether the command is an answer.
func (c Command) IsResponse() bool { return c.Flag&FlagResponse != 0 }

// IsOneWay tells whether the request wants no answer.
func (c Command) IsOneWay() bool { return c.Flag&FlagOneWay != 0 }

// Response makes an answer to the request c.
func (c Command) Response(code int, remark string) Command {
	return Command{
		Code: code, Language: Go, Version: Version,
		Opaque: c.Opaque, Flag: FlagResponse, Remark: remark,
	}
}

// Language is what a peer says it is written in. Nothing depends on it.
type Language byte

// The languages that servers and clients in use call themselves.
const (
	Java  Language = 0
	Other Language = 7
	Go    Language = 9
)

// languages are the names in JSON headers; the index is the number in binary
// ones.
func languages() []string {
	return []string{
		"JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY",
		"OTHER", "HTTP", "GO", "PHP", "OMS", "RUST", "NODE_JS",
	}
}

// String is the language's name in JSON headers.
func (l Language) String() string {
	switch names := languages(); {
	case l == Go: // the usual one, without the list
		return "GO"
	case int(l) < len(names):
		return names[l]
	default:
		return "OTHER"
	}
}

// parseLanguage is the reverse of String. A name that is not known is Other.
func parseLanguage(name string) Language {
	for i, known := range languages() {
		if name == known {
			return Language(i)
		}
	}
	return Other
}

// ResponseError is an answer that refuses: its code is not ResponseSuccess.
type ResponseError struct {
	Code        int    // the response code
	Remark      string // the server's words
	RequestCode int    // what was asked
}

// Error names the request, the code and the server's words.
func (e *ResponseError) Error() string {
	return fmt.Sprintf("request %d was refused with code %d: %s", e.RequestCode, e.Code, e.Remark)
}

// ResponseCode returns the code of the ResponseError in err's chain, and
// ResponseSuccess if there is none.
func ResponseCode(err error) int {
	var refused *ResponseError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ResponseSuccess
}
