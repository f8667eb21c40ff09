package wal

import (
	"errors"
	"os"
	"syscall"
)

// syncData is fdatasync(2), which spares the disk the file's times.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
