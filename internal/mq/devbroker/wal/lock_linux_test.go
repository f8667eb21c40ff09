package wal

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestLockIsNotInherited: a process that is being started has a copy of the
// lock's file for a moment, which must not keep the directory locked.
func TestLockIsNotInherited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	release, err := lockDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	duplicate, err := syscall.Dup(descriptor(t, filepath.Join(dir, "lock")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(duplicate) }()
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if release, err = lockDirectory(dir); err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}

// descriptor is the number by which this process has the file open.
func descriptor(t *testing.T, file string) int {
	t.Helper()
	const open = "/proc/self/fd"
	entries, err := os.ReadDir(open)
	if err != nil {
		t.Skip("needs /proc: ", err)
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(open, e.Name())); err == nil && to == file {
			n, err := strconv.Atoi(e.Name())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s is not open", file)
	return 0
}
