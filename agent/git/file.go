package git

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"time"
)

// info implements fs.FileInfo.
type info struct {
	name string
	mode fs.FileMode
	when time.Time
	size func() int64 // nil: 0
}

func (i *info) Name() string { return i.name }
func (i *info) Size() int64 {
	if i.size == nil {
		return 0
	}
	return i.size()
}
func (i *info) Mode() fs.FileMode  { return i.mode }
func (i *info) ModTime() time.Time { return i.when }
func (i *info) IsDir() bool        { return i.mode.IsDir() }
func (i *info) Sys() any           { return nil }

// dirEntry implements fs.DirEntry.
type dirEntry struct {
	tree  *tree
	dir   string
	entry entry
}

func (d *dirEntry) Name() string      { return d.entry.name }
func (d *dirEntry) IsDir() bool       { return d.entry.mode.IsDir() }
func (d *dirEntry) Type() fs.FileMode { return d.entry.mode.Type() }
func (d *dirEntry) String() string    { return fs.FormatDirEntry(d) }
func (d *dirEntry) Info() (fs.FileInfo, error) {
	return d.tree.info(path.Join(d.dir, d.entry.name), d.entry), nil
}

// openFile is a file whose bytes are all there.
type openFile struct {
	*bytes.Reader
	info info
}

func (f *openFile) Stat() (fs.FileInfo, error) { return &f.info, nil }
func (f *openFile) Close() error               { return nil }

// openDir is an open directory.
type openDir struct {
	info info
	path string
	rest []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return &d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, pathError("read", d.path, errors.New("is a directory"))
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		out := d.rest
		d.rest = nil
		return out, nil
	}
	if len(d.rest) == 0 {
		return nil, io.EOF
	}
	out := d.rest[:min(n, len(d.rest))]
	d.rest = d.rest[len(out):]
	return out, nil
}
