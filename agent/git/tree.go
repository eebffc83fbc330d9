package git

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"headgate.dev/agent/git/internal/file"
	"headgate.dev/agent/git/internal/listing"
	"headgate.dev/agent/git/internal/odb"
)

// content is where a tree's directories and files are.
type content interface {
	// list gives a directory; odb.ErrTooLarge for one beyond limit entries.
	list(id plumbing.Hash, limit int) (listing.Listing, error)
	// blob gives the bytes of a file, or where a link points, and the size; odb.ErrTooLarge with the size beyond limit bytes.
	blob(name string, e listing.Entry, limit int64) ([]byte, int64, error)
	// explain says more of an error of blob's.
	explain(err error) error
}

// tree implements Tree.
type tree struct {
	content content
	root    listing.Entry
	when    time.Time
	limits  Limits
	spent   *spent
}

func newTree(c content, root plumbing.Hash, when time.Time, l Limits) *tree {
	return &tree{content: c, when: when, limits: l,
		root: listing.Entry{Name: ".", Mode: fs.ModeDir | 0o755, ID: root}, spent: &spent{seen: map[string]struct{}{}}}
}

// Beside gives a tree for reading ahead of whoever reads it: what is read there in vain is not counted against the limits of
// this one.
func Beside(t Tree) Tree {
	if of, is := t.(*tree); is {
		return newTree(of.content, of.root.ID, of.when, of.limits)
	}
	return t
}

// spent counts what was read of one tree against the limits. What is read twice counts once.
type spent struct {
	mu      sync.Mutex
	seen    map[string]struct{}
	entries int
	bytes   int64
}

// add counts entries and bytes of the named file or directory, once.
func (s *spent) add(name string, entries int, size int64, l Limits) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[name]; ok {
		return nil
	}
	s.seen[name] = struct{}{}
	s.entries += entries
	s.bytes += size
	if s.entries > l.Entries {
		return &TooBigError{What: "reading the tree up to " + name, Limit: int64(l.Entries), Unit: "files and directories",
			Hint: "serve a smaller directory of the repository"}
	}
	if s.bytes > l.Bytes {
		return &TooBigError{What: "reading the tree up to " + name, Limit: l.Bytes, Unit: "bytes",
			Hint: "serve a smaller directory of the repository"}
	}
	return nil
}

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// find walks to a name without following links.
func (t *tree) find(op, name string) (listing.Entry, error) {
	if !fs.ValidPath(name) {
		return listing.Entry{}, pathError(op, name, fs.ErrInvalid)
	}
	e := t.root
	if name == "." {
		return e, nil
	}
	for at := 0; at <= len(name); {
		switch {
		case e.Mode&fs.ModeSymlink != 0:
			return listing.Entry{}, pathError(op, name, t.linkError(name[:at-1], e))
		case e.Mode&fs.ModeIrregular != 0:
			return listing.Entry{}, pathError(op, name, submodule(name[:at-1]))
		case !e.Mode.IsDir():
			return listing.Entry{}, pathError(op, name, fs.ErrNotExist)
		}
		l, err := t.list(e)
		if err != nil {
			return listing.Entry{}, pathError(op, name, err)
		}
		end := strings.IndexByte(name[at:], '/')
		if end < 0 {
			end = len(name) - at
		}
		var ok bool
		if e, ok = l.Find(name[at : at+end]); !ok {
			return listing.Entry{}, pathError(op, name, fs.ErrNotExist)
		}
		at += end + 1
	}
	return e, nil
}

func (t *tree) list(e listing.Entry) (listing.Listing, error) {
	l, err := t.content.list(e.ID, t.limits.Entries)
	if errors.Is(err, odb.ErrTooLarge) {
		err = &TooBigError{What: "listing a directory", Limit: int64(t.limits.Entries), Unit: "files and directories"}
	}
	return l, err
}

func submodule(name string) error {
	return &UnsupportedError{What: fmt.Sprintf("%s is a submodule, which", name),
		Remedy: "submodules are not fetched: put the files into this repository"}
}

func (t *tree) linkError(name string, e listing.Entry) error {
	target, _, err := t.content.blob(name, e, 4096)
	if err != nil {
		target = []byte("?")
	}
	return &LinkError{Link: name, Target: string(target)}
}

// Digest implements Tree.
func (t *tree) Digest(name string) (string, error) {
	e, err := t.find("digest", name)
	if err != nil {
		return "", err
	}
	var b [40]byte // one allocation for the result: a renderer asks for every directory of a commit
	hex.Encode(b[:], e.ID[:])
	return string(b[:]), nil
}

// Stat implements fs.StatFS. It describes a link itself. The size is looked up when it is asked for; that of a file which cannot be
// read is 0.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	e, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	return t.info(name, e), nil
}

func (t *tree) info(name string, e listing.Entry) fs.FileInfo {
	i := &file.Info{Base: path.Base(name), Perm: e.Mode, When: t.when}
	if e.Mode.IsRegular() {
		i.Length = func() int64 {
			_, size, _ := t.content.blob(name, e, 0)
			return size
		}
	}
	return i
}

// ReadDir implements fs.ReadDirFS.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !e.Mode.IsDir() {
		return nil, pathError("readdir", name, t.notDir(name, e))
	}
	l, err := t.list(e)
	if err == nil {
		err = t.spent.add(name, len(l), 0, t.limits)
	}
	if err != nil {
		return nil, pathError("readdir", name, err)
	}
	entries := make([]dirEntry, len(l))
	out := make([]fs.DirEntry, len(l))
	for i, e := range l {
		entries[i] = dirEntry{tree: t, dir: name, entry: e}
		out[i] = &entries[i]
	}
	return out, nil
}

func (t *tree) notDir(name string, e listing.Entry) error {
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		return t.linkError(name, e)
	case e.Mode&fs.ModeIrregular != 0:
		return submodule(name)
	}
	return errors.New("not a directory")
}

// lfsPointer begins the file that Git LFS commits in place of a large one.
const lfsPointer = "version https://git-lfs.github.com/spec/v1\n"

// ReadFile implements fs.ReadFileFS.
func (t *tree) ReadFile(name string) ([]byte, error) {
	e, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	data, err := t.readBlob(name, e)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return data, nil
}

func (t *tree) readBlob(name string, e listing.Entry) ([]byte, error) {
	if e.Mode.IsDir() {
		return nil, errors.New("is a directory")
	}
	if !e.Mode.IsRegular() {
		return nil, t.notDir(name, e)
	}
	data, size, err := t.content.blob(name, e, t.limits.Blob)
	if err != nil {
		return nil, t.blobError(name, err)
	}
	if bytes.HasPrefix(data, []byte(lfsPointer)) {
		return nil, &UnsupportedError{What: name + " is a Git LFS pointer, which",
			Remedy: "the content is not in the repository: commit the file itself"}
	}
	return data, t.spent.add(name, 0, size, t.limits)
}

func (t *tree) blobError(name string, err error) error {
	if err = t.content.explain(err); errors.Is(err, odb.ErrTooLarge) {
		return &TooBigError{What: "reading " + name, Limit: t.limits.Blob, Unit: "bytes"}
	}
	return err
}

// Open implements fs.FS.
func (t *tree) Open(name string) (fs.File, error) {
	e, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if e.Mode.IsDir() {
		entries, err := t.ReadDir(name)
		if err != nil {
			return nil, err
		}
		return &file.Dir{Info: file.Info{Base: path.Base(name), Perm: e.Mode, When: t.when}, Path: name, Rest: entries}, nil
	}
	data, err := t.readBlob(name, e)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	size := int64(len(data))
	return &file.Open{Reader: bytes.NewReader(data), Info: file.Info{Base: path.Base(name), Perm: e.Mode, When: t.when, Length: func() int64 { return size }}}, nil
}

var _ Tree = (*tree)(nil)
