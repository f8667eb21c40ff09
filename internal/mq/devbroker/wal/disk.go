package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// directory is what a log asks of the file system. Names have no folders.
type directory interface {
	// Open opens a file with flags of package os and tells its size.
	Open(name string, flag int) (file, int64, error)
	Rename(from, to string) error
	Remove(name string) error
	Names() ([]string, error)
	// Sync puts on disk which names there are, and of which files.
	Sync() error
}

// file is an open file of a directory.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync puts the content on disk and whatever it takes to read it again.
	Sync() error
}

// diskDirectory is a directory of the operating system.
type diskDirectory struct{ path string }

func (d diskDirectory) Open(name string, flag int) (file, int64, error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), flag, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return diskFile{f}, info.Size(), nil
}

func (d diskDirectory) Rename(from, to string) error {
	return os.Rename(filepath.Join(d.path, from), filepath.Join(d.path, to))
}

func (d diskDirectory) Remove(name string) error { return os.Remove(filepath.Join(d.path, name)) }

func (d diskDirectory) Names() ([]string, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (d diskDirectory) Sync() error { return syncDirectory(d.path) }

type diskFile struct{ *os.File }

func (f diskFile) Sync() error { return syncData(f.File) }

// makeDirectory makes a directory and those above it, so that they outlive a
// power loss.
func makeDirectory(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeDirectory(filepath.Dir(path)); err == nil {
			err = os.Mkdir(path, 0o700)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func segmentName(generation, sequence uint64) string {
	return fmt.Sprintf("%08d-%08d.log", generation, sequence)
}

// parseSegmentName is the inverse of segmentName.
func parseSegmentName(name string) (generation, sequence uint64, ok bool) {
	if _, err := fmt.Sscanf(name, "%d-%d.log", &generation, &sequence); err != nil {
		return 0, 0, false
	}
	return generation, sequence, name == segmentName(generation, sequence)
}

// segmentsOf lists the sequence numbers of a generation's segments, in order.
func segmentsOf(generation uint64, names []string) []uint64 {
	var sequences []uint64
	for _, name := range names {
		if g, sequence, ok := parseSegmentName(name); ok && g == generation {
			sequences = append(sequences, sequence)
		}
	}
	slices.Sort(sequences)
	return sequences
}

// isLeftOver tells whether a file is what a crash left of an earlier or of an
// unfinished generation. Files that are not ours are none of our business.
func isLeftOver(name string, current uint64) bool {
	whole, unfinished := strings.CutSuffix(name, scratch)
	generation, _, ok := parseSegmentName(whole)
	if unfinished {
		return ok || whole == currentName
	}
	return ok && generation != current
}
