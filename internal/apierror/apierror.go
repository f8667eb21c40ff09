// Package apierror holds the errors that a client may see. The domain returns
// them, gRPC turns them into statuses with details by itself (they implement
// GRPCStatus), and every other error is for the log only: Status shows a client
// nothing of it.
//
// The rich error model is that of google.rpc: BadRequest names the fields of an
// invalid argument, ErrorInfo the reason, RetryInfo when a retry may help
// (https://cloud.google.com/apis/design/errors).
package apierror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Domain is the domain of every ErrorInfo.
const Domain = "orderflow"

// maxShownFields bounds the violations in a status. It travels in the trailers, and
// grpc-java, for one, fails a call whose trailers have more than 8 KiB.
const maxShownFields = 20

// Error is an error that a client may see. Message must not carry anything of
// SQL, the broker or the file system; Cause goes to the log only.
type Error struct {
	Code       codes.Code        // what kind of failure
	Reason     string            // UPPER_SNAKE_CASE, stable, for programs
	Message    string            // for people
	Metadata   map[string]string // more about the reason
	Fields     []Field           // only with codes.InvalidArgument; a client sees the first 20
	RetryAfter time.Duration     // 0: a retry does not help by itself
	Cause      error             // for the log
}

// Field says what is wrong with one field of a request.
type Field struct {
	Path        string // as in the request, such as "lines[2].quantity"
	Description string // what it must be, and what it is
}

// String is the field as in a message or the log.
func (f Field) String() string { return f.Path + ": " + f.Description }

// Error is the message for the log: with every field and the cause.
func (e *Error) Error() string {
	text := e.Reason + ": " + e.Message
	if len(e.Fields) > 1 { // the message names the first one only
		texts := make([]string, len(e.Fields))
		for i, f := range e.Fields {
			texts[i] = f.String()
		}
		text += " [" + strings.Join(texts, "; ") + "]"
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// GRPCStatus is what the client sees: everything but the cause, and of many fields
// the first ones.
func (e *Error) GRPCStatus() *status.Status {
	st := status.New(e.Code, e.Message)
	var details []protoadapt.MessageV1
	if e.Reason != "" {
		details = append(details, &errdetails.ErrorInfo{Domain: Domain, Reason: e.Reason, Metadata: e.Metadata})
	}
	if len(e.Fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range e.Fields[:min(len(e.Fields), maxShownFields)] {
			bad.FieldViolations = append(bad.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: f.Path, Description: f.Description})
		}
		details = append(details, bad)
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	if detailed, err := st.WithDetails(details...); err == nil {
		return detailed
	}
	return st
}

// Violations collects what is wrong with a request, so that a client learns of
// all of it at once, or of the first 20. The zero value is ready.
type Violations struct{ fields []Field }

// Add records one violation.
func (v *Violations) Add(path, format string, args ...any) {
	v.fields = append(v.fields, Field{Path: path, Description: fmt.Sprintf(format, args...)})
}

// Err is nil if nothing was added, else an InvalidArgument with every field. The
// message has the first one and how many more there are.
func (v *Violations) Err() error {
	if len(v.fields) == 0 {
		return nil
	}
	text := v.fields[0].String()
	if more := len(v.fields) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return &Error{Code: codes.InvalidArgument, Reason: "INVALID_REQUEST", Message: text, Fields: v.fields}
}

// NotFound says that a named thing does not exist.
func NotFound(reason, format string, args ...any) *Error {
	return &Error{Code: codes.NotFound, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// AlreadyExists says that an id is taken by something else.
func AlreadyExists(reason, format string, args ...any) *Error {
	return &Error{Code: codes.AlreadyExists, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// FailedPrecondition says that the call does not fit the state; a retryAfter
// above 0 says that the state is about to change by itself.
func FailedPrecondition(reason string, retryAfter time.Duration, format string, args ...any) *Error {
	return &Error{Code: codes.FailedPrecondition, Reason: reason, Message: fmt.Sprintf(format, args...), RetryAfter: retryAfter}
}

// Unavailable says that a part did not answer: what is "database", "broker" or
// the like, cause is for the log. The call may or may not have had its effect,
// and can be repeated.
func Unavailable(what string, cause error) *Error {
	return &Error{
		Code: codes.Unavailable, Reason: "TEMPORARILY_UNAVAILABLE",
		Message:  what + " is not available at the moment; repeat the call with the same id or key",
		Metadata: map[string]string{"part": what}, RetryAfter: time.Second, Cause: cause,
	}
}

// ReasonOf returns the reason of the first Error in err's chain, or "".
func ReasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Status turns any error into what a client may see: an Error or a gRPC status
// as it is, a deadline that has passed as Unavailable, a cancelled call as
// Canceled, and anything else as Internal with a message that says nothing.
func Status(err error) *status.Status {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e.GRPCStatus()
	}
	if st, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return st.GRPCStatus()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Unavailable("service", nil).GRPCStatus()
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the call was cancelled")
	}
	return status.New(codes.Internal, "internal error")
}
