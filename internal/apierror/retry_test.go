package apierror_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/internal/apierror"
)

// What a service sends is what its client waits.
func TestBackoff(t *testing.T) {
	t.Parallel()
	of := func(code codes.Code) error { return status.Error(code, "no") }
	for name, test := range map[string]struct {
		err   error
		least time.Duration
		again bool
	}{
		"the service says when":            {apierror.Unavailable("broker", nil), time.Second, true},
		"it says when, whatever the code":  {apierror.FailedPrecondition("SOON", 3*time.Second, "soon"), 3 * time.Second, true},
		"it takes no more for the moment":  {&apierror.Error{Code: codes.ResourceExhausted, RetryAfter: time.Second}, time.Second, true},
		"nobody is there":                  {of(codes.Unavailable), 0, true},
		"nobody has answered":              {of(codes.DeadlineExceeded), 0, true},
		"another call was faster":          {of(codes.Aborted), 0, true},
		"a stream was cut":                 {of(codes.Internal), 0, true},
		"no status":                        {errors.New("torn"), 0, true},
		"the message is too long":          {of(codes.ResourceExhausted), 0, false},
		"the service says that it is gone": {apierror.NotFound("GONE", "gone"), 0, false},
		"the caller has given up":          {of(codes.Canceled), 0, false},
		"the service does not know it":     {of(codes.Unimplemented), 0, false},
		"no error":                         {nil, 0, false},
	} {
		pause, again := apierror.NewBackoff(500 * time.Millisecond).Next(test.err)
		if again != test.again || pause < test.least || pause > max(test.least, 500*time.Millisecond) || again && pause == 0 {
			t.Errorf("%s: %v, %t", name, pause, again)
		}
	}
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	t.Parallel()
	const longest = 2 * time.Second
	pauses := apierror.NewBackoff(longest)
	var last time.Duration
	for _, about := range []time.Duration{100, 200, 400, 800, 1600, 2000, 2000} {
		about *= time.Millisecond
		if last, _ = pauses.Next(errors.New("torn")); last < about*7/10 || last > min(about*13/10, longest) {
			t.Errorf("%v, want about %v", last, about)
		}
	}
}
