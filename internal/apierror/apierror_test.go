package apierror_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"orderflow/internal/apierror"
)

// A client sees the code, the message and every detail, and nothing of the cause.
func TestGRPCStatus(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp 10.0.0.7:3306: s3cret")
	info := func(reason string, metadata map[string]string) proto.Message {
		return &errdetails.ErrorInfo{Domain: "orderflow", Reason: reason, Metadata: metadata}
	}
	retry := &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)}
	var v apierror.Violations
	v.Add("lines[2].quantity", "must be 1 to %d, got %d", 9, 10)
	v.Add("customer_id", "is missing")
	for name, c := range map[string]struct {
		err     error
		code    codes.Code
		details []proto.Message
	}{
		"not found":      {apierror.NotFound("NO_ORDER", "there is no order %s", "x"), codes.NotFound, []proto.Message{info("NO_ORDER", nil)}},
		"already exists": {apierror.AlreadyExists("REUSED", "again"), codes.AlreadyExists, []proto.Message{info("REUSED", nil)}},
		"precondition":   {apierror.FailedPrecondition("TOO_EARLY", time.Second, "soon"), codes.FailedPrecondition, []proto.Message{info("TOO_EARLY", nil), retry}},
		"final":          {apierror.FailedPrecondition("NEVER", 0, "no"), codes.FailedPrecondition, []proto.Message{info("NEVER", nil)}},
		"unavailable": {apierror.Unavailable("database", cause), codes.Unavailable,
			[]proto.Message{info("TEMPORARILY_UNAVAILABLE", map[string]string{"part": "database"}), retry}},
		"invalid": {v.Err(), codes.InvalidArgument, []proto.Message{info("INVALID_REQUEST", nil), &errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{
				{Field: "lines[2].quantity", Description: "must be 1 to 9, got 10"}, {Field: "customer_id", Description: "is missing"},
			},
		}}},
		"without a reason": {&apierror.Error{Code: codes.Aborted, Message: "m"}, codes.Aborted, nil},
	} {
		for _, err := range []error{c.err, fmt.Errorf("call 7: %w", c.err)} { // wrapped, it is the same to a client
			st := apierror.Status(err)
			var details []proto.Message
			for _, d := range st.Details() {
				details = append(details, d.(proto.Message))
			}
			if diff := cmp.Diff(c.details, details, protocmp.Transform()); diff != "" || st.Code() != c.code || st.Message() == "" {
				t.Errorf("%s: %s %q %s", name, st.Code(), st.Message(), diff)
			}
			if strings.Contains(st.String()+fmt.Sprint(st.Proto()), "s3cret") || strings.Contains(st.Message(), "call 7") {
				t.Errorf("%s: a client sees %v", name, st.Proto())
			}
		}
		if st, ok := status.FromError(c.err); !ok || st.Code() != c.code { // what gRPC itself makes of it
			t.Errorf("%s: gRPC makes %v of it", name, st)
		}
	}
	err := apierror.Unavailable("database", cause)
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "s3cret") || apierror.ReasonOf(fmt.Errorf("x: %w", err)) != "TEMPORARILY_UNAVAILABLE" {
		t.Errorf("the log sees %v", err)
	}
}

// Any other error is shown as what it is to a client: nothing.
func TestStatusOfOtherErrors(t *testing.T) {
	t.Parallel()
	secret := errors.New("SELECT s3cret")
	for _, c := range []struct {
		err  error
		code codes.Code
	}{
		{secret, codes.Internal},
		{fmt.Errorf("wrapped: %w", secret), codes.Internal},
		{errors.Join(secret, context.Canceled), codes.Canceled},
		{fmt.Errorf("s3cret: %w", context.DeadlineExceeded), codes.Unavailable}, // the client may repeat the call
		{status.Error(codes.ResourceExhausted, "too many"), codes.ResourceExhausted},
		{nil, codes.OK},
	} {
		st := apierror.Status(c.err)
		if st.Code() != c.code || strings.Contains(fmt.Sprint(st.Proto()), "s3cret") {
			t.Errorf("%v: %v", c.err, st.Proto())
		}
		if c.code == codes.Unavailable && len(st.Details()) != 2 {
			t.Errorf("%v: details %v", c.err, st.Details())
		}
	}
	for _, err := range []error{nil, secret} {
		if reason := apierror.ReasonOf(err); reason != "" {
			t.Errorf("reason of %v is %q", err, reason)
		}
	}
}

// Violations are nothing until one is added, and then all of them, in order.
func TestViolations(t *testing.T) {
	t.Parallel()
	var v apierror.Violations
	if err := v.Err(); err != nil {
		t.Errorf("nothing was added: %v", err)
	}
	v.Add("a", "100%% %s", "sure")
	v.Add("b", "too")
	var e *apierror.Error
	if !errors.As(v.Err(), &e) || e.Message != "a: 100% sure (and 1 more)" || !slices.Equal(e.Fields, []apierror.Field{{"a", "100% sure"}, {"b", "too"}}) {
		t.Errorf("%+v", e)
	}
}

// However much is wrong, the status fits into the trailers that clients accept; the
// log has all of it.
func TestStatusOfManyViolationsIsSmall(t *testing.T) {
	t.Parallel()
	var v apierror.Violations
	for i := range 100 {
		v.Add(fmt.Sprintf("lines[%d].unit_price_minor", i), `must be 1 to 64 letters, digits, "-", "_", "." or ":", got %d`, i)
	}
	err := v.Err()
	st := apierror.Status(err)
	// gRPC sends the message as text, and the whole status once more in base64.
	if size := len(st.Message()) + base64.RawStdEncoding.EncodedLen(proto.Size(st.Proto())); size > 6<<10 {
		t.Errorf("the trailers have %d bytes", size)
	}
	if !strings.HasSuffix(st.Message(), "got 0 (and 99 more)") {
		t.Errorf("message %.100q", st.Message())
	}
	shown := st.Details()[1].(*errdetails.BadRequest).GetFieldViolations()
	if len(shown) != 20 || shown[19].GetField() != "lines[19].unit_price_minor" {
		t.Errorf("%d fields are shown", len(shown))
	}
	for i := range 100 {
		if field := fmt.Sprintf("lines[%d].unit_price_minor: must", i); !strings.Contains(err.Error(), field) {
			t.Errorf("the log lacks %s", field)
		}
	}
}
