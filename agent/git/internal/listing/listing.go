// Package listing reads directories out of Git's tree objects.
package listing

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"headgate.dev/agent/git/internal/odb"
)

// Entry is one line of a directory.
type Entry struct {
	Name string
	Mode fs.FileMode // type bits, and 0755 for an executable
	ID   plumbing.Hash
}

// Listing is a directory's entries, sorted by name. It does not change.
type Listing []Entry

// Find gives the entry of a name.
func (l Listing) Find(name string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(l, name, func(e Entry, n string) int { return strings.Compare(e.Name, n) })
	if !ok {
		return Entry{}, false
	}
	return l[i], true
}

var modes = map[string]fs.FileMode{
	"40000": fs.ModeDir | 0o755, "040000": fs.ModeDir | 0o755,
	"100644": 0o644, "100664": 0o644, "100755": 0o755,
	"120000": fs.ModeSymlink | 0o777, "160000": fs.ModeIrregular,
}

// Parse reads a tree object. Git sorts a directory as if its name ended in a slash; io/fs wants plain names.
func Parse(raw []byte) (Listing, error) {
	l := make(Listing, 0, len(raw)/34+1)
	text := string(raw) // the names share its memory
	for at := 0; at < len(raw); {
		sp := bytes.IndexByte(raw[at:], ' ')
		nul := bytes.IndexByte(raw[at:], 0)
		if sp < 0 || nul < sp || at+nul+21 > len(raw) {
			return nil, errors.New("a broken tree object")
		}
		mode, ok := modes[text[at:at+sp]]
		name := text[at+sp+1 : at+nul]
		if !ok || name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			return nil, fmt.Errorf("a tree object with the entry %q of mode %q", name, text[at:at+sp])
		}
		e := Entry{Name: name, Mode: mode}
		copy(e.ID[:], raw[at+nul+1:])
		l = append(l, e)
		at += nul + 21
	}
	byName := func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(l, byName) {
		slices.SortFunc(l, byName)
	}
	return l, nil
}

// Cache caches directories by id, across commits.
type Cache struct {
	mu      sync.Mutex
	byID    map[plumbing.Hash]Listing
	entries int
}

// maxCached bounds the entries of cached directories; about 70 bytes each. At the bound all are forgotten: every commit
// brings a new root, and the old ones, as large as the repository is wide, are never asked for again.
const maxCached = 60_000

// Get gives the directory with an id, out of the cache or the objects. A tree object of more bytes than limit entries take is odb.ErrTooLarge.
func (c *Cache) Get(o *odb.Reader, id plumbing.Hash, limit int) (Listing, error) {
	c.mu.Lock()
	l, ok := c.byID[id]
	c.mu.Unlock()
	if ok {
		return l, nil
	}
	f, err := o.Read(id, plumbing.TreeObject, int64(limit)*512+1<<20)
	if err != nil {
		return nil, err
	}
	if l, err = Parse(f.Data); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries+len(l) > maxCached || c.byID == nil {
		c.byID, c.entries = map[plumbing.Hash]Listing{}, 0
	}
	c.byID[id] = l
	c.entries += len(l)
	return l, nil
}
