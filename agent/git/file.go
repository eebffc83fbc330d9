package git

import (
	"encoding/hex"
	"io/fs"
	"path"
)

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

// HasDigest tells whether Digest gives this for the entry.
func (d *dirEntry) HasDigest(digest string) bool {
	var b [40]byte
	hex.Encode(b[:], d.entry.id[:])
	return digest == string(b[:])
}

func (d *dirEntry) Info() (fs.FileInfo, error) {
	return d.tree.info(path.Join(d.dir, d.entry.name), d.entry), nil
}
