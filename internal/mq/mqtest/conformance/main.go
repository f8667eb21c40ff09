// Command conformance compares devbroker with Apache RocketMQ case by case. It
// reads what the two tests of package mqtest say and prints a table:
//
//	go test -json -run '^(TestDevbroker|TestApacheRocketMQ)$' ./internal/mq/mqtest | conformance
//
// It fails if a case fails, is missing on one side, or was not run without a
// reason.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// errDiffers means that the table is not what it should be; it says itself where.
var errDiffers = errors.New("the brokers differ, see above")

func run(in io.Reader, out io.Writer) error {
	results, err := read(in)
	if err != nil {
		return err
	}
	if !results.print(out) {
		return errDiffers
	}
	return nil
}
