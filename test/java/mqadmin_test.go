package java

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// adminsAtOnce is how many mqadmins run at a time: each works for a second, and
	// then waits several for its own threads to end.
	adminsAtOnce = 6
	// adminAttempts is how often a command is given that fails.
	adminAttempts = 3
	// holdTimeout bounds the program that is looked at, which outlives the others.
	holdTimeout = 5 * time.Minute
)

// adminCommand is a call of mqadmin. It prints an exception and exits with 0 if
// something goes wrong, so what it prints decides.
type adminCommand struct {
	args string
	// want are regular expressions, each of which must match.
	want []string
	// fails says that an exception is wanted.
	fails bool
}

// admin is a run of mqadmin's commands. The program Hold keeps alive what they
// look at.
type admin struct {
	jvm        *jvm
	nameServer string
	suffix     string

	broker, client, uniqueID, offsetID string // as Hold knows them
}

// testAdmin looks at a producer, a consumer and a message of theirs.
func testAdmin(t *testing.T, j *jvm, nameServer string) {
	a := &admin{jvm: j, nameServer: nameServer, suffix: suffix()}
	release := a.hold(t)
	// Where mqadmin puts a message's body cannot be set.
	t.Cleanup(func() { _ = os.Remove("/tmp/rocketmq/msgbodys/" + a.uniqueID) }) // nothing depends on it
	a.runAll(t, a.creations())
	a.runAll(t, append(a.queries(), a.sending()))
	a.runAll(t, a.resets())
	release()
	a.runAll(t, a.deletions())
	a.runAll(t, a.afterwards())
}

// hold starts the program that is looked at. It ends with the test at the latest,
// and begins to when it is released.
func (a *admin) hold(t *testing.T) (release func()) {
	t.Helper()
	// t.Context ends before the clean-up, in which it leaves the broker by itself.
	ctx, kill := context.WithTimeout(context.WithoutCancel(t.Context()), holdTimeout)
	t.Cleanup(kill)
	cmd := a.jvm.scenes(ctx, nil, "Hold", a.nameServer, a.suffix)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	release = func() { _ = stdin.Close() } // a program that has ended is told of by Wait
	t.Cleanup(func() {
		release()
		if err := cmd.Wait(); err != nil {
			t.Errorf("Hold: %v\n%s", err, &complaints)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscanf(line, "ready %s %s %s %s", &a.broker, &a.client, &a.uniqueID, &a.offsetID)
	}
	if err != nil {
		t.Fatalf("Hold printed %q: %v", line, err)
	}
	return release
}

// turns has room for the mqadmins that run.
var turns = make(chan struct{}, adminsAtOnce)

// runAll runs the commands at once, as far as the machine is up to it.
func (a *admin) runAll(t *testing.T, commands []adminCommand) {
	t.Helper()
	problems := make([]string, len(commands))
	var running sync.WaitGroup
	for i, c := range commands {
		running.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			problems[i] = a.try(t, c)
		})
	}
	running.Wait()
	for i, problem := range problems {
		if problem != "" {
			t.Errorf("mqadmin %s: %s", commands[i].args, problem)
		}
	}
}

// try gives a command until it does what it should, and returns what was wrong
// with it at last. The program gives each answer 3 s, in which it also loads its
// classes: on a busy machine that is not always enough.
func (a *admin) try(t *testing.T, c adminCommand) (problem string) {
	for range adminAttempts {
		if problem != "" {
			t.Logf("once more: mqadmin %s: %s", c.args, problem)
		}
		if problem = a.run(t.Context(), c); problem == "" {
			break
		}
	}
	return problem
}

// run runs a command and returns what is wrong with it.
func (a *admin) run(ctx context.Context, c adminCommand) (problem string) {
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	printed, err := a.jvm.admin(ctx, append(strings.Fields(c.args), "-n", a.nameServer)...).CombinedOutput()
	output := string(printed)
	if err != nil {
		return fmt.Sprintf("%v\n%s", err, output)
	}
	if strings.Contains(output, "Exception") != c.fails {
		return "prints an exception that nobody wants, or none:\n" + output
	}
	for _, want := range c.want {
		if !regexp.MustCompile(want).MatchString(output) {
			return fmt.Sprintf("does not print %q:\n%s", want, output)
		}
	}
	return ""
}
