package cli

import (
	"errors"

	"github.com/alecthomas/kong"
)

// ParseFlags fills the struct that flags points to from args, with the same
// defaults, environment and checks as on the command line of a program: for
// whoever runs a service within another process.
func ParseFlags(flags any, envPrefix string, args ...string) error {
	parser, err := kong.New(flags, kong.DefaultEnvars(envPrefix), kong.NoDefaultHelp())
	if err != nil {
		return errors.Join(errors.New("flags are not well formed"), err)
	}
	_, err = parser.Parse(args)
	return err
}
