// Package file has files and directories whose content is all there, as io/fs wants them.
package file

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"time"
)

// Info describes a file; it implements fs.FileInfo.
type Info struct {
	Base   string // its name without directories
	Perm   fs.FileMode
	When   time.Time
	Length func() int64 // nil: 0
}

// Name is the name without directories.
func (i *Info) Name() string { return i.Base }

// Size is the length in bytes, 0 for what is no file.
func (i *Info) Size() int64 {
	if i.Length == nil {
		return 0
	}
	return i.Length()
}

// Mode is the kind and the permissions.
func (i *Info) Mode() fs.FileMode { return i.Perm }

// ModTime is the time of the commit, or of the file.
func (i *Info) ModTime() time.Time { return i.When }

// IsDir tells whether it is a directory.
func (i *Info) IsDir() bool { return i.Perm.IsDir() }

// Sys is nil.
func (i *Info) Sys() any { return nil }

// Open is an open file.
type Open struct {
	*bytes.Reader
	Info Info
}

// Stat describes the file.
func (f *Open) Stat() (fs.FileInfo, error) { return &f.Info, nil }

// Close does nothing.
func (f *Open) Close() error { return nil }

// Dir is an open directory.
type Dir struct {
	Info Info
	Path string
	Rest []fs.DirEntry // not read yet
}

// Stat describes the directory.
func (d *Dir) Stat() (fs.FileInfo, error) { return &d.Info, nil }

// Close does nothing.
func (d *Dir) Close() error { return nil }

// Read is an error: a directory has no bytes.
func (d *Dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.Path, Err: errors.New("is a directory")}
}

// ReadDir implements fs.ReadDirFile.
func (d *Dir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		out := d.Rest
		d.Rest = nil
		return out, nil
	}
	if len(d.Rest) == 0 {
		return nil, io.EOF
	}
	out := d.Rest[:min(n, len(d.Rest))]
	d.Rest = d.Rest[len(out):]
	return out, nil
}
