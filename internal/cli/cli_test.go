package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

type grammar struct {
	Serve  serve  `cmd:"" help:"Run."`
	Broken broken `cmd:"" help:"Fail."`
	Unable unable `cmd:"" help:"Fail with a code of its own."`
}

type serve struct {
	Database
	Broker
	Consumers
	Process
	Tracing
	Log
}

type broken struct{}

func (s serve) Run(ctx context.Context, out Output) error {
	fmt.Fprintln(out.Stdout, "served", s.ConsumerConcurrency, s.NameServers)
	return ctx.Err()
}

func (broken) Run() error { return errors.New("no luck") }

type unable struct{}

func (unable) Run() error {
	return fmt.Errorf("judge: %w", &ExitError{Code: 5, Err: errors.New("no luck")})
}

// run runs the program and returns the exit code and what it wrote.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	p := Program{Name: "prog", EnvPrefix: "PROG", Grammar: &grammar{}}
	code = p.Main(t.Context(), args, Output{&out, &err})
	return code, out.String(), err.String()
}

const url = "mysql://me:hush@tcp(127.0.0.1:3306)/schema"

func TestExitCodes(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
	}{
		{"it works", []string{"serve", "--database-url", url}, ExitOK},
		{"it fails", []string{"broken"}, ExitFailed},
		{"it fails with a code of its own", []string{"unable"}, 5},
		{"help", []string{"--help"}, ExitOK},
		{"help of a command with required flags", []string{"serve", "--help"}, ExitOK},
		{"unknown flag", []string{"serve", "--nonsense"}, ExitUsage},
		{"no command", nil, ExitUsage},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if code, _, stderr := run(t, test.args...); code != test.code {
				t.Errorf("exit code %d, want %d: %s", code, test.code, stderr)
			}
		})
	}
}

func TestFlagsComeFromTheEnvironmentToo(t *testing.T) {
	t.Setenv("PROG_DATABASE_URL", url)
	t.Setenv("PROG_CONSUMER_CONCURRENCY", "7")
	t.Setenv("PROG_NAME_SERVERS", "one:9876,two:9876")
	code, stdout, stderr := run(t, "serve")
	if code != ExitOK || stdout != "served 7 [one:9876 two:9876]\n" {
		t.Errorf("code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestABadValueIsNamed(t *testing.T) {
	tests := map[string][]string{ // flag: values
		"--database-url":         {"postgres://x", "mysql://", "mysql://me:hush@tcp(h:1)/?a=b", "mysql://me:hush@host/x", "sqlite:", ""},
		"--name-servers":         {"", "localhost", ":9876", "a:9876,b", "a:0", "a:99999", "a:x"},
		"--topic-prefix":         {"a b", "a%", "a.b", "ä", strings.Repeat("x", 65)},
		"--consumer-concurrency": {"0", "1001", "-1", "many"},
		"--handler-timeout":      {"0s", "999ms", "6m", "10"},
		"--drain-timeout":        {"0s", "1h"},
		"--otlp-endpoint": {
			"127.0.0.1:4317", "grpc://127.0.0.1:4317", "http://127.0.0.1", "http://:4317", "http://a:0", "http://a:1/v1/traces", "http://me:hush@a:1", "http://a:1?x=y",
		},
		"--trace-sample": {"-0.1", "1.1", "NaN", "half"},
		"--log-level":    {"loud"},
		"--log-format":   {"xml"},
		"--crash-point":  {"nowhere=kill", "order.after-db-commit=explode"},
	}
	for flag, values := range tests {
		for _, value := range values {
			t.Run(flag+"="+value, func(t *testing.T) {
				args := []string{"serve", flag + "=" + value}
				if flag != "--database-url" {
					args = append(args, "--database-url="+url)
				}
				code, _, stderr := run(t, args...)
				if code != ExitUsage || !strings.Contains(stderr, flag) {
					t.Errorf("exit code %d, stderr %q: want %d and the name of the flag", code, stderr, ExitUsage)
				}
				if strings.Contains(stderr, "hush") {
					t.Errorf("the password is in %q", stderr)
				}
			})
		}
	}
}

func TestPasswordIsNeverShown(t *testing.T) {
	for _, secret := range []DatabaseURL{url, "mysql://me:hu@sh@tcp(h:1)/s", "mysql://me:hush", "mysql:me:hush@x"} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "url", secret, "config", Database{DatabaseURL: secret})
		inJSON, err := json.Marshal(Database{DatabaseURL: secret})
		if err != nil {
			t.Fatal(err)
		}
		all := fmt.Sprintf("%s %v %q %+v %#v %s %s", secret, secret, secret, Database{DatabaseURL: secret}, Database{DatabaseURL: secret}, inJSON, log.String())
		if strings.Contains(all, "hu") || strings.Contains(all, "me:") {
			t.Errorf("shown: %s", all)
		}
	}
	if got, want := DatabaseURL(url).String(), "mysql://…@tcp(127.0.0.1:3306)/schema"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A password from a file is part of the URL that is opened, and of nothing that is shown.
func TestPasswordFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("hu@sh:/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := Database{DatabaseURL: "mysql://me@tcp(127.0.0.1:3306)/schema", DatabasePasswordFile: file}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if text := fmt.Sprintf("%+v", good); strings.Contains(text, "hu@sh") {
		t.Errorf("shown: %s", text)
	}
	for url, why := range map[DatabaseURL]string{
		url:                             "has a password already",
		"sqlite:file":                   "only a MySQL database",
		"mysql://me@tcp(127.0.0.1:3306": "must look like mysql://",
	} {
		err := Database{DatabaseURL: url, DatabasePasswordFile: file}.Validate()
		if err == nil || !strings.Contains(err.Error(), "--database-password-file: ") || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: got %v, want the flag and %q", url, err, why)
		}
	}
	err := Database{DatabaseURL: good.DatabaseURL, DatabasePasswordFile: file + "-none"}.Validate()
	if err == nil || !strings.Contains(err.Error(), "--database-password-file: ") {
		t.Errorf("got %v for a file that is not there", err)
	}
}

func TestHelpHidesTheCrashPoint(t *testing.T) {
	_, stdout, _ := run(t, "serve", "--help")
	if strings.Contains(stdout, "crash-point") || !strings.Contains(stdout, "--topic-prefix") || !strings.Contains(stdout, "PROG_TOPIC_PREFIX") {
		t.Errorf("help:\n%s", stdout)
	}
}

// Where a placeholder says what a value looks like, the default is in the text.
func TestHelpHasTheDefaultsThatPlaceholdersHide(t *testing.T) {
	_, stdout, _ := run(t, "serve", "--help")
	text := strings.Join(strings.Fields(stdout), " ")
	if want := "--name-servers=HOST:PORT,... RocketMQ name servers; 127.0.0.1:9876 if missing ($PROG_NAME_SERVERS)."; !strings.Contains(text, want) {
		t.Errorf("%s is not in\n%s", want, stdout)
	}
}

func TestAWrongCommandLineIsToldWhichHelpHelps(t *testing.T) {
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"nonsense"}, []string{`Try "prog --help"`}},
		{[]string{"serve"}, []string{"--database-url: is missing", `Try "prog serve --help"`}},
		{[]string{"serve", "--nonsense"}, []string{`Try "prog serve --help"`}},
	} {
		code, _, stderr := run(t, test.args...)
		for _, want := range test.want {
			if code != ExitUsage || !strings.Contains(stderr, want) {
				t.Errorf("%v: exit code %d, stderr %q, want %q", test.args, code, stderr, want)
			}
		}
	}
}

func TestWaitTriesAgainWhileTimeMends(t *testing.T) {
	var stderr bytes.Buffer
	out := Output{Stderr: &stderr}
	down, wrong := errors.New("down"), errors.New("wrong")
	mends := func(err error) bool { return errors.Is(err, down) }

	tries := 0
	err := Wait{Wait: time.Minute}.Until(t.Context(), out, mends, func(context.Context) error {
		tries++
		if tries == 1 {
			return down
		}
		return nil
	})
	if err != nil || tries != 2 || stderr.String() != "not yet: down\n" {
		t.Errorf("got %v after %d tries, stderr %q", err, tries, stderr.String())
	}
	if err := (Wait{Wait: time.Minute}).Until(t.Context(), out, mends, func(context.Context) error { return wrong }); err != wrong {
		t.Errorf("got %v, want the error that time does not mend at once", err)
	}
	if err := (Wait{}).Until(t.Context(), out, mends, func(context.Context) error { return down }); err != down {
		t.Errorf("got %v, want the error at once when there is no wait", err)
	}
}

func TestMigrateTwice(t *testing.T) {
	files := fstest.MapFS{"sqlite/00001_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t (id INTEGER);\n")}}
	m := Migrate{Database: Database{DatabaseURL: DatabaseURL("sqlite:" + t.TempDir() + "/test.db")}}
	for _, want := range []string{"1 migrations applied", "0 migrations applied"} {
		var stdout bytes.Buffer
		if err := m.Apply(t.Context(), files, Output{Stdout: &stdout}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("got %q, want %q", stdout.String(), want)
		}
	}
}

func TestVersion(t *testing.T) {
	var stdout bytes.Buffer
	if err := (Version{}).Run(Output{Stdout: &stdout}); err != nil || !strings.Contains(stdout.String(), "go1.") {
		t.Errorf("got %v, %q", err, stdout.String())
	}
}

func TestNegativeNumbersAreArguments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"adjust apple -5 --reason x":   "adjust apple --reason x -- -5",
		"adjust --reason=x -5":         "adjust --reason=x -- -5",
		"pay x --amount -5":            "pay x --amount -5",
		"adjust apple -- -5":           "adjust apple -- -5",
		"clock advance -1m -o json":    "clock advance -1m -o json",
		"adjust apple -99999999999999": "adjust apple -- -99999999999999",
	} {
		if got := strings.Join(negativeNumbersLast(strings.Fields(text)), " "); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestAskAServiceThatIsGone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ask := HealthTimeout{Timeout: 3 * time.Second}
	if err := ask.Ask(t.Context(), "127.0.0.1:1", Output{Stdout: &out}); err == nil || out.Len() > 0 {
		t.Errorf("got %v, %q", err, out.String())
	}
	var exit *ExitError
	if err := ask.Ask(t.Context(), "nonsense", Output{Stdout: &out}); !errors.As(err, &exit) || exit.Code != ExitUsage {
		t.Errorf("got %v, want the exit code of a wrong command line", err)
	}
}
