package mqtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// target is an endpoint and what its name server and its broker say of it.
type target struct {
	Endpoint
	broker string            // the master's address
	name   string            // the broker's name
	config map[string]string // the broker's settings
}

// lookUp asks the endpoint who its broker is.
func lookUp(t *testing.T, e Endpoint) target {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	s := &scene{T: t, target: target{Endpoint: e}, ctx: ctx}
	var info remoting.ClusterInfo
	s.decode(s.succeed("cluster info", s.names().call(remoting.RequestClusterInfo, nil, nil)), &info)
	for _, name := range slices.Sorted(maps.Keys(info.Brokers)) {
		if addr := info.Brokers[name].Addrs[remoting.MasterID]; addr != "" {
			s.broker, s.name = addr, name
			break
		}
	}
	if s.broker == "" {
		t.Fatalf("the name server %s knows no broker: %+v", e.NameServer, info)
	}
	s.config = map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(s.succeed("settings", s.line().call(remoting.RequestGetBrokerConfig, nil, nil)).Body))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			s.config[key] = value
		}
	}
	return s.target
}

// scene is what a case works with: the broker, and topics and groups of its own,
// which end with it.
type scene struct {
	*testing.T
	target
	ctx   context.Context // ends when the case has had all its time
	admin *mq.Admin
	id    string // begins the names of what the case creates
	made  int    // how many names there are

	broking *line  // see line
	naming  *line  // see names
	reading string // see reader
	clock   string // see brokerTime
}

func newScene(ctx context.Context, t *testing.T, target target) *scene {
	s := &scene{
		T: t, target: target, ctx: ctx, id: "mqtest-" + uuid.NewString()[:8],
		admin: mq.NewAdmin([]string{target.NameServer}, mq.WithCredentials(target.Credentials), mq.WithTLS(target.TLS)),
	}
	t.Cleanup(func() {
		if err := s.admin.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fresh makes a name that nobody else has.
func (s *scene) fresh(kind string) string {
	s.made++
	return fmt.Sprintf("%s-%s%d", s.id, kind, s.made)
}

// cleaningUp is a context for what is done when the case has ended.
func (s *scene) cleaningUp() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(s.ctx), 20*time.Second)
}

// topic creates a topic.
func (s *scene) topic(queues int) string { return s.typedTopic("NORMAL", queues) }

func (s *scene) typedTopic(kind string, queues int) string {
	s.Helper()
	name := s.fresh("topic")
	s.forgetTopic(name)
	s.insist(s.ctx, func(ctx context.Context) error {
		_, err := s.admin.EnsureTopic(ctx, mq.TopicSpec{Name: name, Type: kind, Queues: queues})
		return err
	})
	return name
}

// insist does what may be repeated until the broker, which may be busy, has time
// for it.
func (s *scene) insist(ctx context.Context, do func(context.Context) error) {
	s.Helper()
	err := do(ctx)
	for errors.Is(err, message.ErrUnavailable) && ctx.Err() == nil {
		err = do(ctx)
	}
	if err != nil {
		s.Fatal(err)
	}
}

// forgetTopic deletes a topic when the case has ended.
func (s *scene) forgetTopic(name string) {
	s.Cleanup(func() {
		ctx, cancel := s.cleaningUp()
		defer cancel()
		s.insist(ctx, func(ctx context.Context) error { return s.admin.DeleteTopic(ctx, name) })
	})
}

// group creates a consumer group.
func (s *scene) group() string {
	s.Helper()
	name := s.fresh("group")
	s.forgetGroup(name)
	s.insist(s.ctx, func(ctx context.Context) error {
		_, err := s.admin.EnsureGroup(ctx, mq.GroupSpec{Name: name})
		return err
	})
	return name
}

// forgetGroup deletes a group when the case has ended.
func (s *scene) forgetGroup(name string) {
	s.Cleanup(func() {
		ctx, cancel := s.cleaningUp()
		defer cancel()
		s.insist(ctx, func(ctx context.Context) error { return s.admin.DeleteGroup(ctx, name) })
	})
}

// putGroup writes a group's settings as they are.
func (s *scene) putGroup(config remoting.GroupConfig) {
	s.Helper()
	body, err := json.Marshal(config)
	if err != nil {
		s.Fatal(err)
	}
	s.succeed("group", s.line().call(remoting.RequestUpdateGroup, nil, body))
}

// reader is the group for reads that are not what the case is about.
func (s *scene) reader() string {
	s.Helper()
	if s.reading == "" {
		s.reading = s.fresh("reader")
		s.putGroup(remoting.NewGroupConfig(s.reading))
		l, request := s.line(), ext("groupName", s.reading, "cleanOffset", true)
		s.Cleanup(func() { l.call(remoting.RequestDeleteGroup, request, nil) })
	}
	return s.reading
}

// until waits for a condition.
func (s *scene) until(what string, done func() bool) {
	s.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-s.ctx.Done():
			s.Fatalf("timed out waiting for %s", what)
		case <-tick.C:
		}
	}
}

// pass lets a long time go by for the broker.
func (s *scene) pass(d time.Duration) {
	s.Helper()
	if s.Advance != nil {
		s.Advance(d)
		return
	}
	select {
	case <-s.ctx.Done():
		s.Fatalf("the case has no %v left", d)
	case <-time.After(d):
	}
}

// succeed fails the case if the answer refuses.
func (s *scene) succeed(what string, answer remoting.Command) remoting.Command {
	s.Helper()
	if answer.Code != remoting.ResponseSuccess {
		s.Fatalf("%s: the answer has code %d: %s", what, answer.Code, answer.Remark)
	}
	return answer
}

// refuse fails the case if the answer does not refuse with the code and some
// words.
func (s *scene) refuse(what string, answer remoting.Command, code int) {
	s.Helper()
	if answer.Code != code {
		s.Errorf("%s: the answer has code %d (%s), want %d", what, answer.Code, answer.Remark, code)
	} else if answer.Remark == "" {
		s.Errorf("%s: code %d comes without a remark", what, code)
	}
}

// decode parses the JSON body of an answer.
func (s *scene) decode(answer remoting.Command, into any) {
	s.Helper()
	if err := remoting.DecodeBody(answer.Body, into); err != nil {
		s.Fatalf("%v in %.500q", err, answer.Body)
	}
}

// number is a field of an answer that is a number.
func (s *scene) number(answer remoting.Command, field string) int64 {
	s.Helper()
	var n int64
	if _, err := fmt.Sscan(answer.Ext[field], &n); err != nil {
		s.Fatalf("field %s of %v: %v", field, answer.Ext, err)
	}
	return n
}

// equal compares what is with what should be.
func equal[T comparable](s *scene, what string, got, want T) {
	s.Helper()
	if got != want {
		s.Errorf("%s is %v, want %v", what, got, want)
	}
}
