// Command metricdoc writes docs/metrics.md: every metric of the programs, as they
// register them.
//
// Its test fails when the page is out of date.
package main

import (
	"context"
	"fmt"
	"os"

	"orderflow/internal/metricdoc/registered"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: metricdoc docs/metrics.md")
		os.Exit(2)
	}
	if err := write(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "metricdoc:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, file string) error {
	metrics, err := registered.Metrics(ctx)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(page(metrics)), 0o644)
}
