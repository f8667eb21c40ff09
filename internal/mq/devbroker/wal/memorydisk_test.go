package wal

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// errCrashed is what every operation of a disk returns after its crash.
var errCrashed = errors.New("crashed")

// memoryDisk is a directory that knows what would survive: what was written and
// what is on disk are two things, and only a sync makes them one.
type memoryDisk struct {
	mu      sync.Mutex
	names   map[string]*inode           // what a program sees
	kept    map[string]*inode           // what is on disk
	pending []func(map[string]*inode)   // changes of names since the last sync
	before  func(op, name string) error // called before each operation that changes something
	counts  map[string]int              // operations, by op
}

// inode is a file. A sector that is dirty has not reached the disk yet.
type inode struct {
	data, kept []byte
	dirty      map[int]bool
}

func newMemoryDisk() *memoryDisk {
	return &memoryDisk{names: map[string]*inode{}, kept: map[string]*inode{}, counts: map[string]int{}}
}

// crashAt makes the operation with this number, and all after it, fail. A write
// that fails may have written a part.
func (d *memoryDisk) crashAt(op int) {
	d.before = func(string, string) error {
		if op--; op < 0 {
			return errCrashed
		}
		return nil
	}
}

// step counts an operation and asks whether it may happen.
func (d *memoryDisk) step(op, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts[op]++
	if d.before == nil {
		return nil
	}
	return d.before(op, name)
}

func (d *memoryDisk) count(op string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[op]
}

// change changes the names that are seen, and on disk with the next sync.
func (d *memoryDisk) change(f func(map[string]*inode)) {
	f(d.names)
	d.pending = append(d.pending, f)
}

func (d *memoryDisk) Open(name string, flag int) (file, int64, error) {
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		if err := d.step("create", name); err != nil {
			return nil, 0, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	node := d.names[name]
	switch {
	case node == nil && flag&os.O_CREATE == 0:
		return nil, 0, fs.ErrNotExist
	case node == nil:
		node = &inode{dirty: map[int]bool{}}
		d.change(func(names map[string]*inode) { names[name] = node })
	case flag&os.O_TRUNC != 0:
		node.data = nil
	}
	return &memoryFile{disk: d, name: name, inode: node}, int64(len(node.data)), nil
}

func (d *memoryDisk) Rename(from, to string) error {
	if err := d.step("rename", to); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	node := d.names[from]
	d.change(func(names map[string]*inode) {
		delete(names, from)
		names[to] = node
	})
	return nil
}

func (d *memoryDisk) Remove(name string) error {
	if err := d.step("remove", name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] == nil {
		return fs.ErrNotExist
	}
	d.change(func(names map[string]*inode) { delete(names, name) })
	return nil
}

func (d *memoryDisk) Names() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.names)), nil
}

func (d *memoryDisk) Sync() error {
	if err := d.step("sync", ""); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept, d.pending = maps.Clone(d.names), nil
	return nil
}

// memoryFile is an open file.
type memoryFile struct {
	disk *memoryDisk
	name string
	*inode
}

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.disk.step("write", f.name)
	if err != nil {
		p = p[:len(p)/2]
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	end := int(off) + len(p)
	if grow := end - len(f.data); grow > 0 {
		f.data = append(f.data, make([]byte, grow)...)
	}
	copy(f.data[off:], p)
	for s := int(off) / sector; s*sector < end; s++ {
		f.dirty[s] = true
	}
	return len(p), err
}

func (f *memoryFile) Truncate(size int64) error {
	if err := f.disk.step("truncate", f.name); err != nil {
		return err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.data = f.data[:size]
	return nil
}

// Sync that fails does what Linux does: what it could not write counts as clean
// from now on.
func (f *memoryFile) Sync() error {
	err := f.disk.step("sync", f.name)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err == nil {
		f.kept = append(f.kept[:min(len(f.kept), len(f.data))], make([]byte, max(0, len(f.data)-len(f.kept)))...)
		for s := range f.dirty {
			if at := s * sector; at < len(f.data) {
				copy(f.kept[at:], f.data[at:min(at+sector, len(f.data))])
			}
		}
	}
	if err != errCrashed {
		clear(f.dirty)
	}
	return err
}

func (f *memoryFile) Close() error { return nil }

// afterKill is the disk as the next process sees it, when nothing but the process
// has ended.
func (d *memoryDisk) afterKill() *memoryDisk {
	next := newMemoryDisk()
	copies := map[*inode]*inode{}
	clone := func(names map[string]*inode) map[string]*inode {
		out := map[string]*inode{}
		for name, node := range names {
			if copies[node] == nil {
				copies[node] = &inode{data: slices.Clone(node.data), kept: slices.Clone(node.kept), dirty: maps.Clone(node.dirty)}
			}
			out[name] = copies[node]
		}
		return out
	}
	next.names, next.kept = clone(d.names), clone(d.kept)
	final := maps.Clone(next.names)
	next.pending = []func(map[string]*inode){func(names map[string]*inode) {
		clear(names)
		maps.Copy(names, final)
	}}
	return next
}

// afterPowerLoss is one of the disks that a power loss may leave: of what was
// not synced any part is there, and in the place of the rest what was there
// before, zeros or garbage.
func (d *memoryDisk) afterPowerLoss(rng *rand.Rand) *memoryDisk {
	next := newMemoryDisk()
	names := maps.Clone(d.kept)
	for _, change := range d.pending {
		if rng.IntN(2) == 0 {
			change(names)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		content := names[name].afterPowerLoss(rng)
		next.put(name, content)
	}
	return next
}

// put places a file that is on disk.
func (d *memoryDisk) put(name string, content []byte) {
	node := &inode{data: content, kept: slices.Clone(content), dirty: map[int]bool{}}
	d.names[name], d.kept[name] = node, node
}

func (n *inode) afterPowerLoss(rng *rand.Rand) []byte {
	low, high := min(len(n.kept), len(n.data)), max(len(n.kept), len(n.data))
	size := []int{len(n.kept), len(n.data), low + rng.IntN(high-low+1)}[rng.IntN(3)]
	out := make([]byte, size)
	copy(out, n.kept)
	for at := 0; at < size; at += sector {
		if !n.dirty[at/sector] {
			continue
		}
		part := out[at:min(at+sector, size)]
		switch rng.IntN(4) {
		case 0: // it stays what it was: zeros, beyond the end
		case 1:
			if at >= len(n.kept) {
				for i := range part {
					part[i] = byte(rng.Uint32())
				}
			}
		default:
			clear(part)
			if at < len(n.data) {
				copy(part, n.data[at:])
			}
		}
	}
	return out
}

// content is a file's bytes as a program sees them.
func (d *memoryDisk) content(t testing.TB, name string) []byte {
	t.Helper()
	node := d.names[name]
	if node == nil {
		t.Fatalf("there is no file %s in %v", name, slices.Sorted(maps.Keys(d.names)))
	}
	return node.data
}
