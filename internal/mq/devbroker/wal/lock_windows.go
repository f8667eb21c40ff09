package wal

import (
	"errors"
	"path/filepath"
	"syscall"
)

// sharingViolation is ERROR_SHARING_VIOLATION.
const sharingViolation = syscall.Errno(32)

// lockDirectory takes the directory for this process, by a file that is opened
// without sharing it. The system gives it back when the process ends, however it
// ends.
func lockDirectory(path string) (release func() error, err error) {
	name, err := syscall.UTF16PtrFromString(filepath.Join(path, "lock"))
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		err = ErrLocked
	}
	if err != nil {
		return nil, err
	}
	return func() error { return syscall.CloseHandle(h) }, nil
}

// syncDirectory does nothing: Windows has no such call, and NTFS keeps its
// directories by a journal.
func syncDirectory(string) error { return nil }
