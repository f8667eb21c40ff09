package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// callTimeout is the deadline of one call. Without one a call may wait for ever.
	callTimeout = 5 * time.Second
	// The pauses where no service was there to say how long they should be: each is twice
	// the one before, and anything up to that, so that not all clients come at once.
	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
)

// repeat makes a call until it is answered for good, or ctx ends. The request is the same
// each time, with the same key: a call that had no answer may have had its effect, and the
// key makes the repetition find it instead of doing it again.
func repeat[Request, Response any](
	ctx context.Context, call func(context.Context, Request, ...grpc.CallOption) (Response, error), request Request,
) (Response, error) {
	for limit := firstPause; ; limit = min(2*limit, longestPause) {
		response, err := once(ctx, call, request)
		pause, again := advice(err, rand.N(limit))
		if !again {
			return response, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return response, fmt.Errorf("%w; given up, and may be repeated later with the same key", err)
		}
	}
}

func once[Request, Response any](
	ctx context.Context, call func(context.Context, Request, ...grpc.CallOption) (Response, error), request Request,
) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx, request)
}

// advice tells whether to repeat a call, and after which pause: unasked, if the service
// does not say.
func advice(err error, unasked time.Duration) (pause time.Duration, again bool) {
	st := status.Convert(err)
	for _, detail := range st.Details() {
		// Whatever the code is: the service says that it helps. An order whose stock is
		// not confirmed yet (STOCK_NOT_CONFIRMED) is a FailedPrecondition of this kind.
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return retry.GetRetryDelay().AsDuration(), true
		}
	}
	// No answer at all: the service is not there, or the deadline has passed.
	return unasked, st.Code() == codes.Unavailable || st.Code() == codes.DeadlineExceeded
}

// reason is the name of an error, which stays the same while its text may change:
// programs decide by it. It is "" if the error is not from the service.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
