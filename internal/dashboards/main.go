// Command dashboards writes deploy/observability/dashboards: Grafana's JSON is long, and
// hides what a dashboard is: panels, each with a question and the queries that answer it.
// With draw, it makes a picture of one, from what a Prometheus answers.
//
// Its tests fail when the files are out of date, or a query names a metric that is not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "dashboards:", err)
		}
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) > 0 && args[0] == "draw":
		return drawPicture(ctx, args[1:])
	case len(args) == 1:
		return generate(args[0])
	}
	return errors.New("usage: dashboards deploy/observability/dashboards, or dashboards draw --help")
}

func generate(folder string) error {
	for _, d := range all() {
		text, err := d.encode()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, d.name+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
