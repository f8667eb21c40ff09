// Command tally counts tests over several runs:
//
//	go test -json ./... | tally add FILE    shows the run and adds its counts to FILE
//	tally sum FILE                          prints "N passed, N failed, N skipped"
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: tally add|sum FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

func run(command, file string, stdin io.Reader, stdout io.Writer) error {
	total, err := load(file)
	if err != nil {
		return err
	}
	switch command {
	case "sum":
		_, err := fmt.Fprintln(stdout, total)
		return err
	case "add":
		counted, err := read(stdin, stdout)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, counted)
		total.add(counted)
		return save(file, total)
	default:
		return fmt.Errorf("there is no command %q", command)
	}
}

func load(file string) (total counts, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return counts{}, nil
	}
	if err != nil {
		return counts{}, err
	}
	if err := json.Unmarshal(text, &total); err != nil {
		return counts{}, fmt.Errorf("%s is not a file of tally: %w", file, err)
	}
	return total, nil
}

func save(file string, total counts) error {
	text, err := json.Marshal(total)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
