//go:build !linux

package wal

import "os"

// syncData is what package os does, which on macOS waits for the disk too.
func syncData(f *os.File) error { return f.Sync() }
