package git

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"headgate.dev/agent/git/internal/file"
	"headgate.dev/agent/git/internal/ignore"
	"headgate.dev/agent/git/internal/listing"
	"headgate.dev/agent/git/internal/odb"
	"headgate.dev/agent/git/internal/parallel"
	"headgate.dev/agent/git/internal/watch"
)

// Worktree gives the saved files of a repository, or of a directory outside of any, in the form of a commit. What Git
// ignores is left out, except that a file which is both tracked and ignored is left out too. Links are not followed.
type Worktree struct {
	root   string // constant
	dir    string // constant
	common string // constant; of the repository, empty outside of any
	limits Limits // constant
	now    func() time.Time

	resolving sync.Mutex // held through a Resolve; guards top and last
	top       *node
	last      *Commit

	mu       sync.Mutex // guards what follows
	ignores  *ignore.Rules
	watching bool
	all      bool            // everything must be looked at again
	dirty    map[string]bool // directories that must be
}

// node is a file or directory as it was last seen. It does not change.
type node struct {
	listing.Entry
	size     int64
	modified time.Time
	inode    uint64
	// settled: hashed long enough after it was modified that a later change must have another time.
	settled bool
	nodes   []*node // of a directory, sorted by name
	newest  time.Time
}

// granularity is how far apart two changes may be and still have the same time of modification.
const granularity = 50 * time.Millisecond

// OpenWorktree opens the work tree that dir lies in. now is the clock files' times are compared with; nil is time.Now.
func OpenWorktree(dir string, l Limits, now func() time.Time) (*Worktree, error) {
	abs, err := localPath(dir)
	if err != nil {
		return nil, err
	}
	w := &Worktree{root: abs, dir: ".", limits: l.withDefaults(), now: now, all: true, dirty: map[string]bool{}}
	if now == nil {
		w.now = time.Now
	}
	var repo local
	var none *NotFoundError
	switch err := repo.discover(abs); {
	case err == nil && repo.gitDir == repo.root:
		return nil, &UnsupportedError{Doing: "opening " + abs, What: "a bare repository as work tree", Remedy: "it has no saved files: leave out --worktree"}
	case err == nil:
		w.root, w.dir = repo.root, repo.dir
	case !errors.As(err, &none):
		return nil, err
	}
	w.common = repo.common
	w.ignores = ignore.New(w.root, w.common)
	return w, nil
}

// Dir is the directory inside the tree, slash-separated; "." is the root.
func (w *Worktree) Dir() string { return w.dir }

// String is the root's path.
func (w *Worktree) String() string { return w.root }

// Close does nothing; it makes a Worktree and a Repository interchangeable.
func (w *Worktree) Close() error { return nil }

// Resolve looks at the files and gives them as a commit; the same pointer as long as nothing changed. While a Watch is
// running only directories with changes are looked at. A file that is saved while its bytes are read later is an error
// then, and a hint follows it.
func (w *Worktree) Resolve(ctx context.Context) (*Commit, error) {
	w.resolving.Lock()
	defer w.resolving.Unlock()
	s := w.scan(ctx)
	top, err := s.dir(".", w.top)
	if err != nil {
		w.mu.Lock()
		w.all = true
		w.mu.Unlock()
		return nil, fmt.Errorf("reading the saved files of %s: %w", w.root, err)
	}
	if w.last != nil && top.ID == w.top.ID {
		w.top = top
		return w.last, nil
	}
	w.top = top
	hash := top.ID.String()
	c := &Commit{Revision: "worktree@sha1:" + hash, Hash: hash, Subject: "saved files", When: top.newest, treeID: hash}
	saved := &saved{root: w.root, dirs: map[plumbing.Hash]listing.Listing{}, read: s.read}
	saved.collect(top)
	c.Tree = newTree(saved, top.ID, c.When, w.limits)
	w.last = c
	return c, nil
}

// scan is one look at the files.
type scan struct {
	ctx     context.Context
	w       *Worktree
	all     bool
	dirty   map[string]bool
	ignores *ignore.Rules

	mu      sync.Mutex // guards what follows
	entries int
	read    map[plumbing.Hash][]byte // files that were read
	bytes   int                      // of these
}

// maxRead bounds the bytes of files that a look at the files leaves to whoever reads them next.
const maxRead = 8 << 20

func (w *Worktree) scan(ctx context.Context) *scan {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &scan{ctx: ctx, w: w, all: w.all || !w.watching, dirty: w.dirty, ignores: w.ignores, read: map[plumbing.Hash][]byte{}}
	w.all, w.dirty = false, map[string]bool{}
	return s
}

// dir looks at a directory. What it gives has no nodes when there is nothing in it.
func (s *scan) dir(name string, old *node) (*node, error) {
	if old != nil && !s.all && !s.dirty[name] {
		return old, nil
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(s.w.root, filepath.FromSlash(name)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if name != "." && slices.ContainsFunc(entries, isGit) {
		return &node{Entry: listing.Entry{Name: path.Base(name), Mode: fs.ModeIrregular}}, nil // a repository of its own
	}
	if !s.count(len(entries)) {
		return nil, &TooBigError{What: "listing " + name, Limit: int64(s.w.limits.Entries), Unit: "files and directories",
			Hint: "ignore what does not belong to the repository in .gitignore"}
	}
	if !slices.ContainsFunc(entries, isIgnoreFile) {
		s.ignores.Lacks(name)
	}
	nodes := make([]*node, len(entries))
	err = parallel.Each(len(entries), func(i int) (err error) {
		nodes[i], err = s.entry(path.Join(name, entries[i].Name()), entries[i], old.child(entries[i].Name()))
		return err
	})
	if err != nil {
		return nil, err
	}
	return directory(name, nodes), nil
}

func isGit(e fs.DirEntry) bool { return e.Name() == ".git" }

func isIgnoreFile(e fs.DirEntry) bool { return e.Name() == ".gitignore" }

// directory makes the node of a directory of what its entries are; nil for those left out.
func directory(name string, nodes []*node) *node {
	d := &node{Entry: listing.Entry{Name: path.Base(name), Mode: fs.ModeDir | 0o755}}
	for _, n := range nodes {
		if n == nil {
			continue
		}
		d.nodes = append(d.nodes, n)
		if n.newest.After(d.newest) {
			d.newest = n.newest
		}
	}
	d.ID = treeID(d.nodes)
	return d
}

// count notes that a directory has n entries, and tells whether there are few enough.
func (s *scan) count(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries += n
	return s.entries <= s.w.limits.Entries
}

// keep notes the bytes of a file for whoever reads it next.
func (s *scan) keep(id plumbing.Hash, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+len(data) <= maxRead {
		s.bytes += len(data)
		s.read[id] = data
	}
}

func (n *node) child(name string) *node {
	if n == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(n.nodes, name, func(c *node, s string) int { return strings.Compare(c.Name, s) })
	if !ok {
		return nil
	}
	return n.nodes[i]
}

// entry looks at one entry of a directory; nil for what is left out.
func (s *scan) entry(name string, e fs.DirEntry, old *node) (*node, error) {
	if e.Name() == ".git" || s.ignores.Match(name, e.IsDir()) {
		return nil, nil
	}
	if e.IsDir() {
		n, err := s.dir(name, old)
		if err != nil || len(n.nodes) == 0 && n.Mode.IsDir() {
			return nil, err // Git knows no empty directories
		}
		return n, nil
	}
	st, err := e.Info()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case st.Mode()&fs.ModeSymlink == 0 && !st.Mode().IsRegular():
		return nil, nil // a socket or device
	}
	return s.file(name, st, old)
}

func (s *scan) file(name string, st fs.FileInfo, old *node) (*node, error) {
	n := &node{size: st.Size(), modified: st.ModTime(), newest: st.ModTime(), inode: file.Inode(st)}
	n.Entry = listing.Entry{Name: st.Name(), Mode: 0o644}
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		n.Mode = fs.ModeSymlink | 0o777
	case st.Mode()&0o111 != 0:
		n.Mode = 0o755
	}
	if old.still(n) {
		return old, nil
	}
	n.settled = s.w.now().Sub(n.modified) > granularity
	data, _, err := file.ReadSaved(s.w.root, name, n.Mode, s.w.limits.Blob)
	switch {
	case errors.Is(err, odb.ErrTooLarge):
		// Never read, so that any id will do that changes with the file.
		data = fmt.Appendf(nil, "%d %d %d", n.size, n.modified.UnixNano(), n.inode)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	n.ID = plumbing.ComputeHash(plumbing.BlobObject, data)
	if err == nil {
		s.keep(n.ID, data)
	}
	return n, nil
}

// still tells whether a file cannot have changed since it was hashed, by what its directory says now.
func (n *node) still(now *node) bool {
	return n != nil && n.settled && n.size == now.size && n.Mode == now.Mode && n.inode == now.inode && n.modified.Equal(now.modified)
}

// treeID is the id Git would give the directory.
func treeID(nodes []*node) plumbing.Hash {
	sorted := slices.Clone(nodes)
	slices.SortFunc(sorted, func(a, b *node) int { return strings.Compare(a.gitName(), b.gitName()) })
	var b []byte
	for _, n := range sorted {
		b = append(b, n.gitMode()...)
		b = append(b, ' ')
		b = append(b, n.Name...)
		b = append(b, 0)
		b = append(b, n.ID[:]...)
	}
	return plumbing.ComputeHash(plumbing.TreeObject, b)
}

func (n *node) gitName() string {
	if n.Mode.IsDir() {
		return n.Name + "/"
	}
	return n.Name
}

func (n *node) gitMode() string {
	switch {
	case n.Mode.IsDir():
		return "40000"
	case n.Mode&fs.ModeSymlink != 0:
		return "120000"
	case n.Mode&fs.ModeIrregular != 0:
		return "160000"
	case n.Mode&0o111 != 0:
		return "100755"
	}
	return "100644"
}

// saved is the content of a work tree as of one Resolve.
type saved struct {
	root string                            // constant
	dirs map[plumbing.Hash]listing.Listing // constant

	mu   sync.Mutex               // guards what follows
	read map[plumbing.Hash][]byte // what was read for its digest, until somebody reads it
}

func (s *saved) collect(d *node) {
	if _, ok := s.dirs[d.ID]; ok {
		return
	}
	l := make(listing.Listing, len(d.nodes))
	for i, n := range d.nodes {
		l[i] = n.Entry
		if n.Mode.IsDir() {
			s.collect(n)
		}
	}
	s.dirs[d.ID] = l
}

func (s *saved) list(id plumbing.Hash, _ int) (listing.Listing, error) { return s.dirs[id], nil }

func (s *saved) blob(name string, e listing.Entry, limit int64) ([]byte, int64, error) {
	if data, has := s.take(e.ID, limit); has {
		return data, int64(len(data)), nil
	}
	data, size, err := file.ReadSaved(s.root, name, e.Mode, limit)
	if err == nil && plumbing.ComputeHash(plumbing.BlobObject, data) != e.ID {
		err = fmt.Errorf("it was saved again while it was read (expected %s)", hex.EncodeToString(e.ID[:4]))
	}
	return data, size, err
}

// take gives the bytes of a file that were read already, once.
func (s *saved) take(id plumbing.Hash, limit int64) (data []byte, has bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if data, has = s.read[id]; !has || int64(len(data)) > limit {
		return nil, false
	}
	delete(s.read, id)
	return data, true
}

func (s *saved) explain(err error) error { return err }

// Watch gives a hint a few milliseconds after files were saved, see Repository.Watch. It takes a system watch for each
// directory that is not ignored.
func (w *Worktree) Watch(ctx context.Context) (<-chan struct{}, error) {
	hints, err := watchFiles(ctx, watch.Options{Trees: []string{w.root}, Skip: w.skips, Event: w.touched, Settle: settle})
	if err != nil {
		return nil, err
	}
	w.watch(true)
	context.AfterFunc(ctx, func() { w.watch(false) })
	return hints, nil
}

// settle is how long no file must be saved before a hint: an editor that empties a file and then writes it is done by
// then.
const settle = 5 * time.Millisecond

func (w *Worktree) watch(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watching, w.all = on, true
}

func (w *Worktree) relative(path string) string {
	rel, err := filepath.Rel(w.root, path)
	if err != nil {
		return "."
	}
	return filepath.ToSlash(rel)
}

func (w *Worktree) skips(path string) bool {
	name := w.relative(path)
	if name == ".git" || strings.HasSuffix(name, "/.git") {
		return true
	}
	st, err := os.Lstat(path)
	w.mu.Lock()
	defer w.mu.Unlock()
	return name != "." && w.ignores.Match(name, err == nil && st.IsDir())
}

// touched notes which directories must be looked at again; everything for an empty path.
func (w *Worktree) touched(path string) {
	st, err := os.Lstat(path)
	w.mu.Lock()
	defer w.mu.Unlock()
	if path == "" || err == nil && st.IsDir() || filepath.Base(path) == ".gitignore" {
		w.all = true
		w.ignores = ignore.New(w.root, w.common)
		return
	}
	for name := w.relative(path); ; name = parent(name) {
		w.dirty[name] = true
		if name == "." {
			return
		}
	}
}

func parent(name string) string { return path.Dir(name) }
