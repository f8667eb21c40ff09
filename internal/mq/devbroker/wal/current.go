package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
)

const (
	currentName  = "current"
	currentMagic = "devgen\r\n"
	currentSize  = 24
	currentSum   = currentSize - 4
	scratch      = ".tmp" // ends the name of a file that is not complete
)

// prepare writes a file that is to get its name by reveal, and puts it on disk.
func prepare(d directory, name string, content []byte) error {
	f, _, err := d.Open(name+scratch, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// reveal gives a file its name; one that had the name before is gone. If it
// fails, nobody knows which of the two a crash would leave.
func reveal(d directory, name string) error {
	if err := d.Rename(name+scratch, name); err != nil {
		return err
	}
	return d.Sync()
}

// currentFile is the content of the file that names a generation.
func currentFile(generation uint64) []byte {
	b := append(make([]byte, 0, currentSize), currentMagic...)
	b = binary.BigEndian.AppendUint32(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, generation)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// currentGeneration is the one to read, or 0 if the directory is new.
func currentGeneration(d directory) (uint64, error) {
	f, size, err := d.Open(currentName, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	b := make([]byte, currentSize)
	if size == currentSize {
		_, err = f.ReadAt(b, 0)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("read %s: %w", currentName, err)
	}
	generation := binary.BigEndian.Uint64(b[12:])
	switch {
	case size != currentSize || string(b[:8]) != currentMagic ||
		crc32.Checksum(b[:currentSum], castagnoli) != binary.BigEndian.Uint32(b[currentSum:]):
		return 0, &CorruptError{File: currentName, Reason: "not the number of a generation"}
	case binary.BigEndian.Uint32(b[8:]) != formatVersion:
		return 0, &CorruptError{
			File: currentName, Offset: 8,
			Reason: fmt.Sprintf("format %d, and this program knows %d only", binary.BigEndian.Uint32(b[8:]), formatVersion),
		}
	}
	return generation, nil
}
