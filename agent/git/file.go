package git

import (
	"encoding/hex"
	"io/fs"
	"path"

	"headgate.dev/agent/git/internal/listing"
)

// dirEntry implements fs.DirEntry.
type dirEntry struct {
	tree  *tree
	dir   string
	entry listing.Entry
}

func (d *dirEntry) Name() string      { return d.entry.Name }
func (d *dirEntry) IsDir() bool       { return d.entry.Mode.IsDir() }
func (d *dirEntry) Type() fs.FileMode { return d.entry.Mode.Type() }
func (d *dirEntry) String() string    { return fs.FormatDirEntry(d) }

// HasDigest tells whether Digest gives this for the entry.
func (d *dirEntry) HasDigest(digest string) bool {
	var b [40]byte
	hex.Encode(b[:], d.entry.ID[:])
	return digest == string(b[:])
}

func (d *dirEntry) Info() (fs.FileInfo, error) {
	return d.tree.info(path.Join(d.dir, d.entry.Name), d.entry), nil
}
