// Command dashboards writes deploy/observability/dashboards: Grafana's JSON is long, and
// hides what a dashboard is: panels, each with a question and the queries that answer it.
//
// Its tests fail when the files are out of date, or a query names a metric that is not.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards deploy/observability/dashboards")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
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
