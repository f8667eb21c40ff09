package mqtest

import (
	"encoding/json"
	"slices"

	"orderflow/internal/mq"
	"orderflow/internal/mq/remoting"
)

// filtered reads a whole queue of so many messages through a filter.
func (s *scene) filtered(topic string, count int64, kind, expression string) (texts []string) {
	s.Helper()
	for offset := int64(0); offset < count; {
		c := s.pull(pull{topic: topic, offset: offset, filter: expression, filterType: kind})
		if c.code != remoting.ResponseSuccess && c.code != remoting.ResponsePullRetry || c.next <= offset {
			s.Fatalf("%s: code %d (%s), next %d behind %d", expression, c.code, c.remark, c.next, offset)
		}
		texts, offset = append(texts, bodies(c.messages)...), c.next
	}
	return texts
}

func filterTags(s *scene) {
	topic := s.topic(1)
	for _, tag := range []string{"created", "paid", "", "closed", "paid"} {
		properties := map[string]string{}
		if tag != "" {
			properties["TAGS"] = tag
		}
		s.send(letter{topic: topic, body: "-" + tag, properties: properties})
	}
	for expression, want := range map[string][]string{
		"*":                {"-created", "-paid", "-", "-closed", "-paid"},
		"paid":             {"-paid", "-paid"},
		"paid||created":    {"-created", "-paid", "-paid"},
		" paid || closed ": {"-paid", "-closed", "-paid"},
		"unheard-of":       nil,
	} {
		if got := s.filtered(topic, 5, "TAG", expression); !slices.Equal(got, want) {
			s.Errorf("%q gives %q, want %q", expression, got, want)
		}
	}
	// What the filter keeps back is passed over: the answer says where to go on.
	s.wants("none", s.pull(pull{topic: topic, filter: "unheard-of"}), remoting.ResponsePullRetry, 5, 0, 5)
}

// The broker compares the hashes of tags and leaves it to the client to tell those
// apart that have the same.
func filterTagsByHash(s *scene) {
	topic := s.topic(1)
	for _, tag := range []string{"Aa", "x", "BB"} {
		s.send(letter{topic: topic, body: tag, properties: map[string]string{"TAGS": tag}})
	}
	if got := s.filtered(topic, 3, "TAG", "Aa"); !slices.Equal(got, []string{"Aa", "BB"}) {
		s.Errorf("Aa gives %q", got)
	}
}

// A consumer of some tags gets those, and the rest is acknowledged for it.
func filterTagsConsumer(s *scene) {
	topic, group := s.topic(1), s.group()
	for _, tag := range []string{"Aa", "BB", "x", "y", "x"} {
		s.send(letter{topic: topic, body: tag, properties: map[string]string{"TAGS": tag}})
	}
	box := s.inbox()
	c := s.consume(topic, mq.Subscription{Group: group, Tags: []string{"Aa", "x"}}, box)
	box.wait(3)
	if err := c.Stop(s.ctx); err != nil {
		s.Fatal(err)
	}
	if got := box.bodies(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"Aa", "x", "x"}) {
		s.Errorf("the consumer gets %q", got)
	}
	s.until("the offset behind all of them", func() bool { return s.consumed(group, topic, 0) == 5 })
}

// sqlTopic makes a topic with messages to select from.
func (s *scene) sqlTopic() string {
	s.Helper()
	topic := s.topic(1)
	for _, m := range []struct {
		body       string
		properties map[string]string
	}{
		{"five", map[string]string{"a": "5", "s": "x", "TAGS": "t"}},
		{"ten", map[string]string{"a": "10", "s": "it's", "TAGS": "u"}},
		{"none", map[string]string{"TAGS": "t"}},
		{"text", map[string]string{"a": "abc", "s": "xylo"}},
		{"minus", map[string]string{"a": "-3", "b": "true"}},
		{"point", map[string]string{"a": "7.5", "b": "false", "s": "5"}},
	} {
		s.send(letter{topic: topic, body: m.body, properties: m.properties})
	}
	return topic
}

// Properties are strings; what compares numbers reads them as such, a decimal
// point only where the other side has one, and where that fails the message is not
// selected. Neither is one whose property is missing.
func filterSQL(s *scene) {
	topic := s.sqlTopic()
	for _, c := range []struct {
		expression string
		want       []string
	}{
		{"a > 5", []string{"ten"}},
		{"a >= 5", []string{"five", "ten"}},
		{"a < 5", []string{"minus"}},
		{"5 < a", []string{"ten"}},
		{"a = 5", []string{"five"}},
		{"a <> 5", []string{"ten", "minus"}},
		{"a > -5", []string{"five", "ten", "minus"}},
		{"a > 5.5", []string{"ten", "point"}},
		{"a = 7.5", []string{"point"}},
		{"a BETWEEN 5 AND 8", []string{"five"}},
		{"a between 5 and 8", []string{"five"}},
		{"a NOT BETWEEN 5 AND 8", []string{"ten", "minus"}},
		{"a = '5'", []string{"five"}},
		{"a IN ('5', '10')", []string{"five", "ten"}},
		{"a NOT IN ('5', '10')", []string{"text", "minus", "point"}},
		{"s = 'x'", []string{"five"}},
		{"s <> 'x'", []string{"ten", "text", "point"}},
		{"s = 'it''s'", []string{"ten"}},
		{"s IS NULL", []string{"none", "minus"}},
		{"s IS NOT NULL", []string{"five", "ten", "text", "point"}},
		{"s CONTAINS 'y'", []string{"text"}},
		{"s STARTSWITH 'x'", []string{"five", "text"}},
		{"s ENDSWITH 'o'", []string{"text"}},
		{"b = TRUE", []string{"minus"}},
		{"b = FALSE", []string{"point"}},
		{"TAGS = 't'", []string{"five", "none"}},
		{"TAGS IN ('t','u')", []string{"five", "ten", "none"}},
		{"missing = 1", nil},
		{"missing <> 1", nil},
		{"missing > 1 OR a = 5", []string{"five"}},
		{"NOT (a > 5)", []string{"five", "minus"}},
		{"a > 6 OR s = 'x'", []string{"five", "ten"}},
		{"a > 4 AND s IS NOT NULL", []string{"five", "ten"}},
		{"a = 5 AND b = TRUE OR TAGS = 'u'", []string{"ten"}},
		{"a = 5 AND (b = TRUE OR TAGS = 't')", []string{"five"}},
		{"A = 5", nil}, // names are case-sensitive
		{"TRUE", []string{"five", "ten", "none", "text", "minus", "point"}},
		{"FALSE", nil},
	} {
		if got := s.filtered(topic, 6, "SQL92", c.expression); !slices.Equal(got, c.want) {
			s.Errorf("%s gives %q, want %q", c.expression, got, c.want)
		}
	}
}

// checkFilter asks whether an expression is acceptable, as Java clients do before
// they start.
func (s *scene) checkFilter(group string, sub remoting.Subscription) remoting.Command {
	s.Helper()
	body, err := json.Marshal(map[string]any{"clientId": "mqtest", "group": group, "subscriptionData": sub})
	if err != nil {
		s.Fatal(err)
	}
	return s.line().call(remoting.RequestCheckClientConfig, nil, body)
}

// A wrong expression is refused when one asks; a heartbeat with one is accepted,
// and the pulls of the group then say that they have no filter.
func filterSQLRefused(s *scene) {
	topic, group := s.topic(1), s.group()
	s.succeed("a good one", s.checkFilter(group, subscribeSQL(topic, "a > 5 AND TAGS = 't'")))
	for _, expression := range []string{
		"a =", "a = 5 AND", "(a = 5", `a = "5"`, "a == 5", "a != 5", "a = 5;", "1", "'x'", "s > 'x'", "a BETWEEN 8 AND 5", "a = NULL",
		"a > 99999999999999999999", "",
	} {
		s.refuse(expression, s.checkFilter(group, subscribeSQL(topic, expression)), remoting.ResponseSubscriptionInvalid)
	}
	s.sendAll(topic, 0, "x")
	m := s.member()
	m.consume(group, subscribeSQL(topic, "a >"))
	p := pull{topic: topic, group: group, subscribed: true}
	equal(s, "code with a wrong expression", s.pull(p).code, remoting.ResponseFilterDataNotExist)
	m.consume(group, subscribeSQL(topic, "a > 5"))
	equal(s, "code with a good one", s.pull(p).code, remoting.ResponsePullRetry)
}

// In a pull that brings its own filter, the real broker takes a wrong expression
// for one that lets everything through (ConsumerFilterManager.build returns a
// filter without a compiled expression).
func filterSQLWrongInPull(s *scene) {
	topic := s.sqlTopic()
	equal(s, "messages", len(s.filtered(topic, 6, "SQL92", "a >")), 6)
}

// An expression filters what was delayed, too, and what was a half message.
func filterLater(s *scene) {
	topic := s.topic(1)
	delayed := func(tag string) letter {
		return letter{topic: topic, body: tag, properties: map[string]string{"DELAY": "1", "TAGS": tag}}
	}
	s.succeed("send", s.line().post(delayed("wanted")))
	s.succeed("send", s.line().post(delayed("other")))
	group := s.fresh("producers")
	for _, tag := range []string{"wanted", "other"} {
		h := s.prepare(s.line(), letter{group: group, topic: topic, body: tag, properties: map[string]string{"TAGS": tag}})
		s.succeed("commit", s.end(h, commitIt))
	}
	s.wait(topic, 0, 4)
	for kind, expression := range map[string]string{"TAG": "wanted", "SQL92": "TAGS = 'wanted'"} {
		if got := s.filtered(topic, 4, kind, expression); !slices.Equal(got, []string{"wanted", "wanted"}) {
			s.Errorf("%s gives %q", expression, got)
		}
	}
}
