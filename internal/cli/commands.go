package cli

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"orderflow/internal/database"
	"orderflow/internal/version"
)

// Version is the command that prints the version.
type Version struct{}

// Run is the command.
func (Version) Run(out Output) error {
	_, err := fmt.Fprintln(out.Stdout, version.String())
	return err
}

// Wait lets a command that prepares something wait for a part that is just
// starting.
type Wait struct {
	Wait time.Duration `default:"0s" help:"Keep trying for so long while it is not available, 0s to 1h."`
}

// Validate checks the bounds.
func (w Wait) Validate() error { return CheckDuration("--wait", w.Wait, 0, time.Hour) }

// Until calls try until it succeeds, fails for a reason that time does not mend,
// or the wait is over.
func (w Wait) Until(ctx context.Context, out Output, timeMends func(error) bool, try func(context.Context) error) error {
	const pause = time.Second
	begun := time.Now()
	for {
		err := try(ctx)
		if err == nil || !timeMends(err) || time.Since(begun)+pause > w.Wait {
			return err
		}
		fmt.Fprintf(out.Stderr, "not yet: %v\n", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// Migrate is the command that brings a service's schema up to date.
type Migrate struct {
	Database
	Wait
}

// Apply applies the migrations that are missing.
func (m Migrate) Apply(ctx context.Context, files fs.FS, out Output) error {
	db, err := m.Open()
	if err != nil {
		return err
	}
	defer db.Cleanup()
	applied := 0
	err = m.Until(ctx, out, database.IsUnavailable, func(ctx context.Context) error {
		n, err := db.Migrate(ctx, files)
		applied += n
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out.Stdout, "schema is up to date: %d migrations applied now\n", applied)
	return err
}
