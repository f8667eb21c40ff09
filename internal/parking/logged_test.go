package parking_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
)

// answering is a Parker that is a function.
type answering func(message.Parked) error

func (f answering) Park(_ context.Context, p message.Parked) error { return f(p) }

func TestParkingIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	down := errors.New("down")
	for _, failure := range []error{nil, down} {
		p := parking.Logged(answering(func(message.Parked) error { return failure }), log)
		if err := p.Park(t.Context(), sample()); !errors.Is(err, failure) {
			t.Errorf("err = %v", err)
		}
	}
	text := out.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, `"level":"ERROR"`) || !strings.Contains(text, `"reason":"BAD_EVENT"`) ||
		!strings.Contains(text, `"order_id":"0197a1b2-0000-7000-8000-000000000001"`) {
		t.Errorf("got %s", text)
	}
}
