package mq

import (
	"context"
	"errors"
	"testing"
	"time"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry/telemetrytest"
)

// fakeLags are the lags of topics; one that is not there cannot be asked.
type fakeLags map[string]int64

func (f fakeLags) Lag(_ context.Context, _, topic string) (int64, error) {
	if lag, ok := f[topic]; ok {
		return lag, nil
	}
	if topic == DeadLetterTopic("group") {
		return 0, &NotFoundError{Kind: KindTopic, Name: topic}
	}
	return 0, message.ErrUnavailable
}

func TestLagIsMeasured(t *testing.T) {
	c, r := quiet()
	late := Backlog{Group: "drain", Topic: DeadLetterTopic("group"), LateTopic: true}
	backlogs := append(BacklogsOf("group", "topic"), late)
	lags := fakeLags{"topic": 7, RetryTopic("group"): 2}
	if err := c.Metrics.MeasureLag(t.Context(), lags, backlogs); err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]float64{"topic": 7, RetryTopic("group"): 2} {
		if got := telemetrytest.Value(t, r, "mq_consumer_lag_messages", "group", "group", "topic", topic); got != want {
			t.Errorf("%s: lag %v, want %v", topic, got, want)
		}
	}
	if !telemetrytest.Present(t, r, "mq_consumer_lag_messages", "topic", late.Topic) {
		t.Error("a topic that nobody has needed yet has no lag of 0")
	}
}

// An old lag would look as if all were well: what cannot be asked is absent, and the
// others are not.
func TestLagOfABrokerThatIsDownIsAbsent(t *testing.T) {
	c, r := quiet()
	lags := fakeLags{"topic": 7, RetryTopic("group"): 2}
	if err := c.Metrics.MeasureLag(t.Context(), lags, BacklogsOf("group", "topic")); err != nil {
		t.Fatal(err)
	}
	delete(lags, "topic")
	if err := c.Metrics.MeasureLag(t.Context(), lags, BacklogsOf("group", "topic")); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
	if telemetrytest.Present(t, r, "mq_consumer_lag_messages", "topic", "topic") {
		t.Error("the lag is still there")
	}
	if got := telemetrytest.Value(t, r, "mq_consumer_lag_messages", "topic", RetryTopic("group")); got != 2 {
		t.Errorf("the other lag is %v", got)
	}
}

func TestRedeliveriesAreCounted(t *testing.T) {
	c, r := quiet()
	k, _, _ := consumerOf(t, c, Subscription{Handler: func(context.Context, message.Message) error { return nil }})
	first, again := received("1"), received("2")
	again.ReconsumeTimes = 3
	_, _ = k.onMessages(t.Context(), first, again)
	if got := telemetrytest.Value(t, r, "mq_redeliveries_total", "group", "group", "topic", "topic"); got != 1 {
		t.Errorf("%v redeliveries, want 1", got)
	}
}

func TestAgeOfHalfMessagesIsMeasured(t *testing.T) {
	c, r := quiet()
	p := transactionsOf(c, &listener{check: func(context.Context, message.Message) message.TransactionState {
		return message.StateCommit
	}}, &fakeTransactions{})
	half := received("1")
	half.BornTimestamp = time.Now().Add(-time.Minute).UnixMilli()
	libraryListener{p}.CheckLocalTransaction(half)
	if n, sum := telemetrytest.Value(t, r, "mq_check_back_age_seconds", "group", "group"),
		telemetrytest.Sum(t, r, "mq_check_back_age_seconds"); n != 1 || sum < 60 || sum > 90 {
		t.Errorf("%v half messages, %v s old", n, sum)
	}
}

// A rate sees the first of something only if it was 0 before.
func TestMetricsAreThereBeforeTheFirst(t *testing.T) {
	c, r := quiet()
	NewTransactionProducer(c, "halves", &listener{}, "topic")
	NewProducer(c, "plain", "topic")
	NewConsumer(c, Subscription{Group: "group", Topic: "topic"})
	c.Metrics.ExpectParked("group", "DEAD_LETTER")
	for _, metric := range []string{
		"mq_half_messages_total", "mq_check_backs_total", "mq_check_back_age_seconds", "mq_messages_sent_total", "mq_messages_handled_total",
		"mq_handle_duration_seconds", "mq_redeliveries_total", "mq_subscription_conflict", "mq_messages_parked_total",
	} {
		if !telemetrytest.Present(t, r, metric) || telemetrytest.Value(t, r, metric) != 0 {
			t.Errorf("%s is not there, or not 0", metric)
		}
	}
}
