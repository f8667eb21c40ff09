package wal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// childVariable makes the test binary the program that TestKill kills: it names
// a directory, and behind a colon the mode.
const childVariable = "WAL_TEST_CHILD"

// numbered is a record that knows its number and has a length of its own.
func numbered(n int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(n)), bytes.Repeat([]byte{byte(n)}, n*31%700)...)
}

// child appends numbered records to the log until it is killed, and prints each
// number when it is safe. Now and then it rewrites the log.
func child(variable string) {
	dir, mode, _ := strings.Cut(variable, ":")
	number := 0
	o := quiet(modes()[mode])
	o.SegmentSize = 20_000
	l, err := Open(dir, o, func([]byte) error { number++; return nil })
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex // as a broker has one for its state
	step := func() (int, Position, error) {
		mu.Lock()
		defer mu.Unlock()
		if number%97 == 96 {
			err := l.Rewrite(func(yield func([]byte) error) error {
				for n := range number {
					if err := yield(numbered(n)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return 0, 0, err
			}
		}
		p, err := l.Append(numbered(number))
		number++
		return number - 1, p, err
	}
	for range 3 {
		go func() {
			for {
				n, p, err := step()
				if err = errors.Join(err, l.Wait(p)); err != nil {
					panic(err)
				}
				fmt.Println(n)
			}
		}()
	}
	select {}
}

// TestKill kills a real process with SIGKILL, wherever it is. Every number that
// it has printed must be there, and nothing but the numbers from 0 on.
func TestKill(t *testing.T) {
	t.Parallel()
	for name, mode := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for range 5 {
				highest := runAndKill(t, dir, name)
				found := 0
				l, err := Open(dir, quiet(mode), func(record []byte) error {
					if !bytes.Equal(record, numbered(found)) {
						return fmt.Errorf("record %d is %.20q", found, record)
					}
					found++
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				mustClose(t, l)
				if found <= highest {
					t.Fatalf("%d was printed, and there are %d records", highest, found)
				}
			}
		})
	}
}

// runAndKill runs the child until it has printed some numbers and kills it. It
// returns the highest one that was printed.
func runAndKill(t *testing.T, dir, mode string) (highest int) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childVariable+"="+dir+":"+mode)
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines, until := 0, 50+rand.IntN(300)
	for in := bufio.NewScanner(out); in.Scan(); lines++ {
		n, err := strconv.Atoi(in.Text())
		if err != nil {
			break // cut short by the kill
		}
		highest = max(highest, n)
		if lines == 20 {
			if _, err := Open(dir, quiet(Never), ignore); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
				t.Errorf("while another process has it open: %v", err)
			}
		}
		if lines == until {
			_ = cmd.Process.Kill() // and read on what it printed before
		}
	}
	_ = cmd.Wait() // it was killed
	if lines < until {
		t.Fatalf("the child ended after %d lines: %s", lines, said.String())
	}
	return highest
}
