package mq

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
)

func half() message.Message {
	return message.Message{Topic: "topic", Keys: []string{"k"}, Body: []byte("body")}
}

// notBegun fails the test if err does not say that the local transaction never
// ran, because the broker was not there.
func notBegun(t *testing.T, state message.TransactionState, err error) {
	t.Helper()
	if state != message.StateRollback || !errors.Is(err, message.ErrNotSent) || !errors.Is(err, message.ErrUnavailable) {
		t.Fatalf("state %v, %v; want rollback, ErrNotSent and ErrUnavailable", state, err)
	}
}

func forbidden(t *testing.T) *listener {
	return &listener{execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
		t.Error("the local transaction ran")
		return message.StateCommit, nil
	}}
}

func TestDeadlineHoldsWhileTheLibraryHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hangs := make(chan struct{})
		var late primitive.LocalTransactionState
		f := &fakeTransactions{}
		p := transactionsOf(c, forbidden(t), f)
		f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
			<-hangs
			result := stored(p, m) // the half message gets through after all
			late = result.State
			return result, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		state, err := p.SendInTransaction(ctx, half(), nil)
		notBegun(t, state, err)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		close(hangs)
		synctest.Wait()
		if late != primitive.RollbackMessageState {
			t.Errorf("the half message was ended as %v, not rolled back", late)
		}
	})
}

// The listener and the caller's departure race for the call: either the local
// transaction runs and its result is the caller's, or it does not run.
func TestLocalTransactionRunsOrTheCallerHearsThatItDidNot(t *testing.T) {
	c, _ := quiet()
	ran, left := 0, 0
	for i := range 1000 {
		var executed bool
		l := &listener{execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
			executed = true
			return message.StateCommit, nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		f := &fakeTransactions{}
		p := transactionsOf(c, l, f)
		ended := make(chan primitive.LocalTransactionState, 1)
		f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
			if i%2 == 0 {
				go cancel()
			} else {
				cancel()
			}
			result := stored(p, m)
			ended <- result.State
			return result, nil
		}
		state, err := p.SendInTransaction(ctx, half(), nil)
		sent := <-ended
		switch {
		case executed && state == message.StateCommit && err == nil && sent == primitive.CommitMessageState:
			ran++
		case !executed && errors.Is(err, message.ErrNotSent) && state == message.StateRollback && sent == primitive.RollbackMessageState:
			left++
		default:
			t.Fatalf("round %d: executed %v, caller got %v, %v, broker got %v", i, executed, state, err, sent)
		}
		cancel()
	}
	if left == 0 {
		t.Errorf("ran %d times, given up %d times: the test proves nothing", ran, left)
	}
}

func TestNoLocalTransactionBeginsAfterTheDeadline(t *testing.T) {
	c, _ := quiet()
	f := &fakeTransactions{}
	p := transactionsOf(c, forbidden(t), f)
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
			cancel() // and the caller may not have seen it yet
			return stored(p, m), nil
		}
		state, err := p.SendInTransaction(ctx, half(), nil)
		notBegun(t, state, err)
	}
}

type callerKey struct{}

func TestBegunLocalTransactionIsAwaitedAndKeepsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), callerKey{}, "caller"), time.Hour)
		defer cancel()
		l := &listener{execute: func(inner context.Context, m message.Message, arg any) (message.TransactionState, error) {
			cancel()
			synctest.Wait() // the caller has seen it, and waits
			if inner.Err() != nil {
				t.Error("the caller's departure has cancelled the local transaction")
			}
			got, ok := inner.Deadline()
			if want, _ := ctx.Deadline(); !ok || !got.Equal(want) {
				t.Errorf("deadline %v, want the caller's %v", got, want)
			}
			if inner.Value(callerKey{}) != "caller" || arg != "argument" || m.Keys[0] != "k" {
				t.Errorf("got value %v, argument %v, message %+v", inner.Value(callerKey{}), arg, m)
			}
			return message.StateCommit, nil
		}}
		f := &fakeTransactions{}
		p := transactionsOf(c, l, f)
		f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
			return stored(p, m), nil
		}
		if state, err := p.SendInTransaction(ctx, half(), "argument"); state != message.StateCommit || err != nil {
			t.Fatalf("got %v, %v", state, err)
		}
	})
}

// The caller has its answer as soon as the local transaction ends; what the
// library still does, or that it then panics, is not its business.
func TestCallerDoesNotWaitForTheEndOfTheHalfMessage(t *testing.T) {
	c, _ := quiet()
	hangs := make(chan struct{})
	l := &listener{execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
		return message.StateCommit, nil
	}}
	f := &fakeTransactions{}
	p := transactionsOf(c, l, f)
	f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
		stored(p, m)
		<-hangs
		panic("no message id")
	}
	if state, err := p.SendInTransaction(t.Context(), half(), nil); state != message.StateCommit || err != nil {
		t.Fatalf("got %v, %v", state, err)
	}
	close(hangs)
	if err := p.Stop(t.Context()); err != nil || f.down != 1 {
		t.Fatalf("Stop = %v, shut down %d times", err, f.down)
	}
}

func TestListenerResults(t *testing.T) {
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		execute   func(context.Context, message.Message, any) (message.TransactionState, error)
		want      message.TransactionState
		wantError string // a part of it; "" for none
		sent      primitive.LocalTransactionState
	}{
		"commit": {func(context.Context, message.Message, any) (message.TransactionState, error) {
			return message.StateCommit, nil
		},
			message.StateCommit, "", primitive.CommitMessageState},
		"rollback": {func(context.Context, message.Message, any) (message.TransactionState, error) {
			return message.StateRollback, refused
		},
			message.StateRollback, "refused", primitive.RollbackMessageState},
		"unknown": {func(context.Context, message.Message, any) (message.TransactionState, error) {
			return message.StateUnknown, refused
		},
			message.StateUnknown, "refused", primitive.UnknowState},
		"rollback without error": {func(context.Context, message.Message, any) (message.TransactionState, error) {
			return message.StateRollback, nil
		},
			message.StateRollback, "without an error", primitive.RollbackMessageState},
		"zero value": {func(context.Context, message.Message, any) (s message.TransactionState, err error) { return },
			message.StateUnknown, "without an error", primitive.UnknowState},
		"nonsense": {func(context.Context, message.Message, any) (message.TransactionState, error) { return 77, nil },
			77, "without an error", primitive.UnknowState},
		// It may have committed before.
		"panic": {func(context.Context, message.Message, any) (message.TransactionState, error) { panic("boom") },
			message.StateUnknown, "boom", primitive.UnknowState},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // a caller that waits for ever fails
				c, _ := quiet()
				f := &fakeTransactions{}
				p := transactionsOf(c, &listener{execute: test.execute}, f)
				var sent primitive.LocalTransactionState
				f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
					result := stored(p, m)
					sent = result.State
					return result, nil
				}
				state, err := p.SendInTransaction(t.Context(), half(), nil)
				text := ""
				if err != nil {
					text = err.Error()
				}
				if state != test.want || (text == "") != (test.wantError == "") || !strings.Contains(text, test.wantError) {
					t.Errorf("got %v, %v; want %v, %q", state, err, test.want, test.wantError)
				}
				if errors.Is(err, message.ErrNotSent) {
					t.Error("the half message was sent")
				}
				if err := p.Stop(t.Context()); err != nil || sent != test.sent {
					t.Errorf("sent to the broker: %v, want %v; stop: %v", sent, test.sent, err)
				}
			})
		})
	}
}

// T09: the broker's "stored but not safe", which the library reports with a nil
// error and without calling the listener, and all other ways to fail.
func TestT09HalfMessageThatWasNotConfirmed(t *testing.T) {
	failed := errors.New("no route")
	answer := func(status primitive.SendStatus) (*primitive.TransactionSendResult, error) {
		return &primitive.TransactionSendResult{
			SendResult: &primitive.SendResult{Status: status}, State: primitive.RollbackMessageState,
		}, nil
	}
	for name, send := range map[string]func() (*primitive.TransactionSendResult, error){
		"flush disk timeout":  func() (*primitive.TransactionSendResult, error) { return answer(primitive.SendFlushDiskTimeout) },
		"flush slave timeout": func() (*primitive.TransactionSendResult, error) { return answer(primitive.SendFlushSlaveTimeout) },
		"slave not available": func() (*primitive.TransactionSendResult, error) { return answer(primitive.SendSlaveNotAvailable) },
		"unknown status":      func() (*primitive.TransactionSendResult, error) { return answer(primitive.SendUnknownError) },
		"listener forgotten":  func() (*primitive.TransactionSendResult, error) { return answer(primitive.SendOK) },
		"error":               func() (*primitive.TransactionSendResult, error) { return nil, failed },
		"panic: no message id": func() (*primitive.TransactionSendResult, error) {
			var id *primitive.MessageID
			_ = id.Offset
			return nil, nil
		},
		"neither result nor no": func() (*primitive.TransactionSendResult, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := quiet()
			p := transactionsOf(c, forbidden(t), &fakeTransactions{
				send: func(context.Context, *primitive.Message) (*primitive.TransactionSendResult, error) { return send() },
			})
			state, err := p.SendInTransaction(t.Context(), half(), nil)
			notBegun(t, state, err)
			if name == "error" && !errors.Is(err, failed) {
				t.Errorf("%v does not name its cause", err)
			}
			if strings.HasPrefix(name, "flush") && !strings.Contains(err.Error(), "did not confirm") {
				t.Errorf("%v does not say what is wrong", err)
			}
		})
	}
}

func TestResultsDoNotMixAndNothingIsKept(t *testing.T) {
	c, _ := quiet()
	l := &listener{execute: func(_ context.Context, m message.Message, arg any) (message.TransactionState, error) {
		return message.StateRollback, errors.New(arg.(string) + m.Keys[0])
	}}
	f := &fakeTransactions{}
	p := transactionsOf(c, l, f)
	f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
		return stored(p, m), nil
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			key := strings.Repeat("x", i+1)
			_, err := p.SendInTransaction(t.Context(), message.Message{Topic: "topic", Keys: []string{key}, Body: []byte("b")}, "arg ")
			if err == nil || err.Error() != "arg "+key {
				t.Errorf("call %d got the answer of another: %v", i, err)
			}
		})
	}
	wg.Wait()
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	p.calls.Range(func(any, any) bool { t.Error("a finished call is still remembered"); return false })
}

func TestWarmUpIsAlwaysRolledBack(t *testing.T) {
	c, _ := quiet()
	l := forbidden(t)
	l.check = func(context.Context, message.Message) message.TransactionState {
		t.Error("the listener was asked about a warm-up message")
		return message.StateCommit
	}
	p := transactionsOf(c, l, &fakeTransactions{})
	m := primitive.NewMessage("topic", []byte("{}"))
	m.WithProperty(propertyWarmUp, "true")
	if got := (libraryListener{p}).ExecuteLocalTransaction(m); got != primitive.RollbackMessageState {
		t.Errorf("ExecuteLocalTransaction = %v", got)
	}
	back := received("1")
	back.WithProperty(propertyWarmUp, "true")
	if got := (libraryListener{p}).CheckLocalTransaction(back); got != primitive.RollbackMessageState {
		t.Errorf("CheckLocalTransaction = %v", got)
	}
}

// T12, T13: a check-back answers whatever happens, and has a deadline.
func TestT12T13CheckBackAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		check func(context.Context, message.Message) message.TransactionState
		want  primitive.LocalTransactionState
	}{
		"commit":   {func(context.Context, message.Message) message.TransactionState { return message.StateCommit }, primitive.CommitMessageState},
		"rollback": {func(context.Context, message.Message) message.TransactionState { return message.StateRollback }, primitive.RollbackMessageState},
		"unknown":  {func(context.Context, message.Message) message.TransactionState { return message.StateUnknown }, primitive.UnknowState},
		"panic":    {func(context.Context, message.Message) message.TransactionState { panic("poison") }, primitive.UnknowState},
		"slow": {func(ctx context.Context, _ message.Message) message.TransactionState {
			<-ctx.Done()
			return message.StateUnknown
		},
			primitive.UnknowState},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := quiet()
				p := transactionsOf(c, &listener{check: test.check}, &fakeTransactions{})
				if got := (libraryListener{p}).CheckLocalTransaction(received("1")); got != test.want {
					t.Errorf("answered %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestTransactionProducerThatIsNotStarted(t *testing.T) {
	c, _ := quiet()
	p := NewTransactionProducer(c, "group", forbidden(t), "topic")
	if err := p.Ready(); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("Ready = %v", err)
	}
	state, err := p.SendInTransaction(t.Context(), half(), nil)
	notBegun(t, state, err)

	f := &fakeTransactions{}
	p = transactionsOf(c, forbidden(t), f)
	if err := p.Ready(); err != nil {
		t.Errorf("Ready = %v", err)
	}
	for range 2 {
		if err := p.Stop(t.Context()); err != nil || f.down != 1 {
			t.Fatalf("Stop = %v, shut down %d times", err, f.down)
		}
	}
	state, err = p.SendInTransaction(t.Context(), half(), nil)
	notBegun(t, state, err)
}

func TestTransactionProducerWithoutTopicSaysSo(t *testing.T) {
	c, _ := quiet()
	p := NewTransactionProducer(c, "group", forbidden(t))
	if err := p.startOnce(t.Context()); err == nil || !strings.Contains(err.Error(), "needs a topic") {
		t.Errorf("startOnce = %v", err)
	}
}
