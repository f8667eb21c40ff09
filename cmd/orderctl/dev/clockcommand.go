package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"orderflow/internal/cli"
)

// AdvanceCommand pushes the clock of a system that runs as "orderctl dev" or
// "orderctl broker".
type AdvanceCommand struct {
	By      time.Duration `arg:"" help:"How far, such as 30m; 0s to 8784h."`
	Control string        `default:"127.0.0.1:7000" placeholder:"HOST:PORT" help:"Where it takes the push: its --control-listen; ${default} if missing."`
}

// Validate checks the bounds.
func (c AdvanceCommand) Validate() error {
	if err := cli.CheckAddress(c.Control); err != nil {
		return fmt.Errorf("--control: %w", err)
	}
	return cli.CheckDuration("by", c.By, 0, maxAdvance)
}

// Help is more about it.
func (AdvanceCommand) Help() string {
	return `It prints the time that the clock shows then. What becomes due, such as the end of
payment windows, happens in the moments after it.

  orderctl clock advance 30m`
}

// Run is the command: it prints the time that the clock shows then.
func (c AdvanceCommand) Run(ctx context.Context, out cli.Output) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	address := "http://" + c.Control + "/clock/advance?by=" + url.QueryEscape(c.By.String())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return fmt.Errorf("--control: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("no control at %s: %w", c.Control, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	_, err = out.Stdout.Write(text)
	return err
}
