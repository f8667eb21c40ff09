// Package cli is the command line of the programs: parsing, exit codes, and the
// flags that more than one of them has. Every flag can be given as an environment
// variable too, which is what containers use.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	ExitOK     = 0
	ExitFailed = 1 // it did not work
	ExitUsage  = 2 // the command line or the environment is wrong
)

// ExitError is an error of a command that ends the program with another code than
// ExitFailed.
type ExitError struct {
	Code int
	Err  error
}

// Error is what went wrong.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *ExitError) Unwrap() error { return e.Err }

// Program is a program with a command line.
type Program struct {
	Name        string
	Description string
	EnvPrefix   string // --some-flag is also read from PREFIX_SOME_FLAG
	Grammar     any    // pointer to a struct with kong's tags, whose commands have Run methods

	// Explain turns a command's error into text for people; nil means err.Error().
	Explain func(err error) string
}

// Output is where a command writes. Its Run method gets it by asking for it.
type Output struct {
	Stdout, Stderr io.Writer
}

// Main parses args, runs the command and returns the exit code. The Run method of
// a command may ask for a context.Context and an Output.
func (p Program) Main(ctx context.Context, args []string, out Output) int {
	parsed, code, done := p.parse(args, out)
	if done {
		return code
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(out)
	if err := parsed.Run(); err != nil {
		explain := p.Explain
		if explain == nil {
			explain = error.Error
		}
		fmt.Fprintf(out.Stderr, "%s: %s\n", p.Name, explain(err))
		var exit *ExitError
		if errors.As(err, &exit) {
			return exit.Code
		}
		return ExitFailed
	}
	return ExitOK
}

// Parser makes the parser: also for whoever documents the flags.
func (p Program) Parser(options ...kong.Option) (*kong.Kong, error) {
	return kong.New(p.Grammar, append([]kong.Option{
		kong.Name(p.Name),
		kong.Description(p.Description),
		kong.DefaultEnvars(p.EnvPrefix),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(withDefault),
	}, options...)...)
}

// Check says what is wrong with a command line, if anything is: for whoever documents
// the commands.
func (p Program) Check(args ...string) error {
	parser, err := p.Parser()
	if err != nil {
		return err
	}
	_, err = parser.Parse(negativeNumbersLast(args))
	return err
}

// withDefault is the help of a flag or an argument: with the default where a placeholder
// such as HOST:PORT hides it.
func withDefault(value *kong.Value) string {
	shown := *value
	if value.Flag != nil && value.Flag.PlaceHolder != "" && value.Default != "" && !kong.HasInterpolatedVar(value.OrigHelp, "default") {
		shown.Help = strings.TrimSuffix(value.Help, ".") + "; " + value.Default + " if missing."
	}
	return kong.DefaultHelpValueFormatter(&shown)
}

// meant is the command that a wrong command line seems to mean, whose help may help.
func (p Program) meant(err error) string {
	var wrong *kong.ParseError
	if !errors.As(err, &wrong) || wrong.Context == nil || wrong.Context.Selected() == nil {
		return p.Name
	}
	return wrong.Context.Selected().FullPath()
}

// exited is the panic by which kong's --help leaves the parser.
type exited int

// parse reads the command line; done says that there is nothing to run.
func (p Program) parse(args []string, out Output) (parsed *kong.Context, code int, done bool) {
	defer func() {
		if e, ok := recover().(exited); ok {
			code, done = int(e), true
		}
	}()
	parser, err := p.Parser(
		kong.Writers(out.Stdout, out.Stderr),
		kong.Exit(func(code int) { panic(exited(code)) }),
	)
	if err != nil {
		panic(err) // the grammar is part of the program
	}
	parsed, err = parser.Parse(negativeNumbersLast(args))
	if err != nil {
		fmt.Fprintf(out.Stderr, "%s: %s\nTry \"%s --help\".\n", p.Name, err, p.meant(err))
		return nil, ExitUsage, true
	}
	return parsed, 0, false
}

// negativeNumbersLast moves arguments such as -5 behind a "--", where the parser does
// not take them for flags: no flag of ours is a digit. What stands behind a --flag may
// be its value, and stays; so does all of a command line with a "--" of its own.
func negativeNumbersLast(args []string) []string {
	var others, numbers []string
	for i, arg := range args {
		switch {
		case arg == "--":
			return args
		case isNegativeNumber(arg) && (i == 0 || !strings.HasPrefix(args[i-1], "--") || strings.Contains(args[i-1], "=")):
			numbers = append(numbers, arg)
		default:
			others = append(others, arg)
		}
	}
	if numbers == nil {
		return args
	}
	return append(append(others, "--"), numbers...)
}

func isNegativeNumber(arg string) bool {
	_, err := strconv.ParseInt(arg, 10, 64)
	return err == nil && strings.HasPrefix(arg, "-")
}
