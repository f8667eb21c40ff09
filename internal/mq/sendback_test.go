package mq

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

var errLost = fmt.Errorf("broker: %w", &remoting.ResponseError{Code: remoting.ResponseSystemError, Remark: "look message by offset failed"})

func TestMessageThatTheBrokerCannotTakeBackIsHeldUntilItCan(t *testing.T) {
	for name, err := range map[string]error{
		"no answer": errors.New("connection reset"),
		"busy":      fmt.Errorf("%w: %w", message.ErrUnavailable, &remoting.ResponseError{Code: remoting.ResponseSystemBusy}),
		"no route":  &NotFoundError{Kind: KindTopic, Name: "topic"}, // a name server that has just started
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := quiet()
				parker := &fakeParker{}
				k, _, back := consumerOf(t, c, Subscription{Handler: later, Parker: parker})
				back.set(err)
				answers := call(k, received("1"))
				time.Sleep(time.Hour) // of the bubble's clock
				synctest.Wait()
				if len(answers) != 0 || back.count() < 500 || len(parker.parked) != 0 {
					t.Fatalf("answered %d times after %d tries, parked %+v", len(answers), back.count(), parker.parked)
				}
				back.set(nil)
				if got := <-answers; got != (answer{consumer.ConsumeSuccess, nil}) || len(back.granted) != 1 {
					t.Errorf("the library is told %v, sent back %v", got, back.granted)
				}
			})
		})
	}
}

// A broker that was wiped will never take the message back.
func TestMessageThatTheBrokerRefusesForGoodIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		parker := &fakeParker{}
		k, _, back := consumerOf(t, c, Subscription{Handler: later, Parker: parker})
		parker.park = func() error {
			if n := back.count(); n < 10 {
				t.Errorf("parked after %d refusals", n)
			}
			return nil
		}
		back.set(errLost)
		if got := <-call(k, received("1")); got != (answer{consumer.ConsumeSuccess, nil}) || len(parker.parked) != 1 {
			t.Fatalf("the library is told %v, parked %+v", got, parker.parked)
		}
		p := parker.parked[0]
		if p.Reason != "CANNOT_SEND_BACK" || p.OrderID != "key-1" || p.Message.ID != "1" ||
			!strings.Contains(p.Detail, "look message by offset failed") || !strings.Contains(p.Detail, "later") {
			t.Errorf("parked %+v", p)
		}
	})
}

func TestRefusedMessageIsHeldWhileItCannotBeParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		recovers := time.Now().Add(2 * time.Hour) // the database
		parker := &fakeParker{park: func() error {
			if time.Now().Before(recovers) {
				return errors.New("database down")
			}
			return nil
		}}
		k, _, back := consumerOf(t, c, Subscription{Handler: later, Parker: parker})
		back.set(errLost)
		answers := call(k, received("1"))
		time.Sleep(time.Hour) // of the bubble's clock
		synctest.Wait()
		if len(answers) != 0 {
			t.Fatalf("the library is told %v", <-answers)
		}
		if got := <-answers; got != (answer{consumer.ConsumeSuccess, nil}) || len(parker.parked) != 1 {
			t.Errorf("the library is told %v, parked %+v", got, parker.parked)
		}
	})
}
