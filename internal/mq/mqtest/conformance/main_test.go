package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// ran makes the events of a case.
func ran(test, action, output string) string {
	text := fmt.Sprintf(`{"Action":"run","Package":"p","Test":%q}`+"\n", test)
	if output != "" {
		text += fmt.Sprintf(`{"Action":"output","Package":"p","Test":%q,"Output":%q}`+"\n", test, output)
	}
	return text + fmt.Sprintf(`{"Action":%q,"Package":"p","Test":%q,"Elapsed":1.5}`+"\n", action, test)
}

func both(name, devbroker, apache, output string) string {
	return ran("TestDevbroker/"+name, devbroker, output) + ran("TestApacheRocketMQ/"+name, apache, output)
}

func ended(devbroker, apache string) string {
	return ran("TestDevbroker", devbroker, "") + ran("TestApacheRocketMQ", apache, "")
}

func TestTable(t *testing.T) {
	for name, c := range map[string]struct {
		events string
		ok     bool
		want   []string
	}{
		"same": {
			both("a/b", "pass", "pass", "") + both("c/long-name", "pass", "pass", "") + ended("pass", "pass"), true,
			[]string{"a/b         | ok    1.5s | ok    1.5s", "2 cases, 2 of them with the same"},
		},
		"declared": {
			ran("TestDevbroker/a", "skip", "    mqtest.go:99: it cannot\n") + ran("TestApacheRocketMQ/a", "pass", "") + ended("pass", "pass"), true,
			[]string{"a    | not run   | ok", "a is not run on devbroker: it cannot\n", "1 cases, 0 of them"},
		},
		"without a reason": {
			ran("TestDevbroker/a", "skip", "") + ran("TestApacheRocketMQ/a", "pass", "") + ended("pass", "pass"), false,
			[]string{"a    | not run"},
		},
		"fails": {
			ran("TestDevbroker/a", "fail", "    x.go:1: wrong\n") + ran("TestApacheRocketMQ/a", "pass", "") + ended("fail", "pass"), false,
			[]string{"a    | FAILED    | ok", "a fails on devbroker:\n    x.go:1: wrong\n"},
		},
		"fails on both": {both("a", "fail", "fail", "") + ended("fail", "fail"), false, []string{"a    | FAILED    | FAILED"}},
		"missing": {
			ran("TestDevbroker/a", "pass", "") + ended("pass", "pass"), false, []string{"a    | ok    1.5s | MISSING"},
		},
		"one side": {
			ran("TestDevbroker/a", "pass", "") + ran("TestDevbroker", "pass", "") + ran("TestApacheRocketMQ", "skip", "    no real broker\n"), false,
			[]string{"Apache RocketMQ 5.3.3: the test as a whole: not run\n    no real broker"},
		},
		"does not build": {"# p\nx.go:1: syntax error\n", false, []string{"no case was run:\n# p\nx.go:1: syntax error"}},
		"dies": {
			both("a", "pass", "pass", "") + ran("TestDevbroker", "pass", "") + `{"Action":"output","Package":"p","Output":"panic: x\n"}` + "\n", false,
			[]string{"the test as a whole: MISSING"},
		},
	} {
		var out strings.Builder
		err := run(strings.NewReader(c.events), &out)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, errDiffers) {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the output has no %q:\n%s", name, want, out.String())
			}
		}
	}
}
