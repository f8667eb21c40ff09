// Command statedoc writes docs/state-machine.md out of the two tables that decide the
// life of an order: the status table of orders and the decision table of reservations.
//
// Its test fails when the page is out of date.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: statedoc docs/state-machine.md")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "statedoc:", err)
		os.Exit(1)
	}
}

func write(file string) error {
	text, err := page()
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
