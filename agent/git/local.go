package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/config"

	"headgate.dev/agent/git/internal/file"
	"headgate.dev/agent/git/internal/listing"
	"headgate.dev/agent/git/internal/refs"
)

// local is a repository read in place.
type local struct {
	root   string // of the work tree, or the bare repository itself
	gitDir string // holds HEAD
	common string // holds objects and references; differs from gitDir for a linked work tree
	dir    string // of the source inside the tree

	ref      Ref
	limits   Limits
	refs     localRefs
	objects  *objects
	listings listing.Cache

	at   target // what last was found at
	last *Commit
}

func openLocal(src Source) (*local, error) {
	path, err := localPath(src.URL)
	if err != nil {
		return nil, err
	}
	l := &local{ref: src.Ref, limits: src.Limits}
	if err := l.discover(path); err != nil {
		return nil, err
	}
	if err := l.checkFormat(); err != nil {
		return nil, err
	}
	l.refs = localRefs{&refs.Files{GitDir: l.gitDir, Common: l.common, Limit: l.limits.Refs}}
	l.objects = newObjects(l.common)
	return l, nil
}

// localPath gives the absolute path, links resolved, of a directory or file:// URL.
func localPath(raw string) (string, error) {
	path, _ := strings.CutPrefix(raw, "file://")
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return "", &NotFoundError{Where: path, Hint: "name a directory inside a Git repository, or a Git URL"}
	}
	if st, err := os.Stat(abs); err != nil || !st.IsDir() {
		return "", &NotFoundError{Where: path, Hint: "it is not a directory"}
	}
	return abs, nil
}

// discover looks upward for the repository that path lies in.
func (l *local) discover(path string) error {
	for at := path; ; at = filepath.Dir(at) {
		gitDir, err := gitDirAt(at)
		if err != nil {
			return err
		}
		if gitDir != "" {
			l.root, l.gitDir = at, gitDir
			break
		}
		if at == filepath.Dir(at) {
			return &NotFoundError{Where: path, Hint: "no parent directory has one either: run \"git init\" there, or name another directory"}
		}
	}
	rel, err := filepath.Rel(l.root, path)
	if err != nil {
		return fmt.Errorf("locating %s in the repository %s: %w", path, l.root, err)
	}
	l.dir = filepath.ToSlash(rel)
	if l.gitDir == l.root || l.dir == ".git" || strings.HasPrefix(l.dir, ".git/") {
		l.dir = "." // a bare repository has no directories of its own
	}
	l.common = l.gitDir
	if data, err := os.ReadFile(filepath.Join(l.gitDir, "commondir")); err == nil {
		l.common = strings.TrimSpace(string(data))
		if !filepath.IsAbs(l.common) {
			l.common = filepath.Join(l.gitDir, l.common)
		}
	}
	if !isGitDir(l.gitDir, l.common) {
		return &NotFoundError{Where: l.root, Hint: fmt.Sprintf("%s is not complete; \"git worktree repair\" mends a linked work tree that was moved", l.gitDir)}
	}
	return nil
}

// gitDirAt gives the Git directory of a work tree or bare repository whose root is at, or "".
func gitDirAt(at string) (string, error) {
	dot := filepath.Join(at, ".git")
	st, err := os.Stat(dot)
	switch {
	case err == nil && st.IsDir():
		return dot, nil
	case err == nil:
		data, err := os.ReadFile(dot)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", dot, err)
		}
		dir, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir:")
		if !ok {
			return "", &UnsupportedError{Doing: "reading " + dot, What: "a .git file without \"gitdir:\"", Remedy: "\"git worktree repair\" may mend it"}
		}
		dir = strings.TrimSpace(dir)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(at, dir)
		}
		return filepath.Clean(dir), nil
	case isGitDir(at, at):
		return at, nil
	case errors.Is(err, os.ErrNotExist), errors.Is(err, file.ErrNotDir):
		return "", nil
	}
	return "", fmt.Errorf("looking for a Git repository at %s: %w", at, err)
}

func isGitDir(gitDir, common string) bool {
	if _, err := os.Lstat(filepath.Join(gitDir, "HEAD")); err != nil {
		return false
	}
	for _, d := range []string{"objects", "refs"} {
		if st, err := os.Stat(filepath.Join(common, d)); err != nil || !st.IsDir() {
			return false
		}
	}
	return true
}

// harmless are the extensions that change nothing for a reader of objects and references. A partial clone is read as far
// as its objects are there.
var harmless = map[string]bool{
	"noop": true, "noop-v1": true, "preciousobjects": true, "partialclone": true, "worktreeconfig": true,
	"relativeworktrees": true, "compatobjectformat": true, "submodulepathconfig": true,
}

// checkFormat refuses what this package would read wrongly.
func (l *local) checkFormat() (err error) {
	path := filepath.Join(l.common, "config")
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the repository's configuration: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c := config.New()
	if err := config.NewDecoder(f).Decode(c); err != nil {
		return fmt.Errorf("reading the repository's configuration %s: %w", path, err)
	}
	doing := "opening " + l.root
	if v := c.Section("core").Option("repositoryformatversion"); v != "" && v != "0" && v != "1" {
		return &UnsupportedError{Doing: doing, What: "core.repositoryformatversion " + v, Remedy: "clone it with a common version of git"}
	}
	for _, o := range c.Section("extensions").Options {
		if remedy := remedy(strings.ToLower(o.Key), strings.ToLower(o.Value)); remedy != "" {
			return &UnsupportedError{Doing: doing, What: "extensions." + o.Key + "=" + o.Value, Remedy: remedy}
		}
	}
	return nil
}

// remedy says what to do about an extension that cannot be read; nothing for one that can.
func remedy(name, value string) string {
	switch {
	case harmless[name], name == "objectformat" && value == "sha1", name == "refstorage" && value == "files":
		return ""
	case name == "refstorage":
		return "run \"git refs migrate --ref-format=files\" in it"
	case name == "objectformat":
		return "make a repository with \"git init --object-format=sha1\" and push the files there"
	}
	return "serve a plain clone (\"git clone\") of it instead"
}

// resolve implements origin.
func (l *local) resolve(context.Context) (*Commit, error) {
	t, err := l.refs.resolve(l.ref, l.objects)
	if err != nil {
		return nil, l.where(err)
	}
	if t == l.at {
		return l.last, nil
	}
	c, err := l.read(t)
	if err != nil {
		return nil, err
	}
	l.at, l.last = t, c
	return c, nil
}

// read gives the commit of a target.
func (l *local) read(t target) (*Commit, error) {
	c, err := l.objects.commit(plumbing.NewHash(t.hash))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, l.where(&NotFoundError{Ref: "commit " + t.hash})
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", t.hash, l.root, err)
	}
	c.Ref, c.Revision = t.ref, revision(c.Hash, t.ref, t.absolute)
	c.Tree = newTree(&committed{objects: l.objects, cache: &l.listings}, plumbing.NewHash(c.treeID), c.When, l.limits)
	return c, nil
}

// where names the repository in an error about a reference.
func (l *local) where(err error) error {
	var nf *NotFoundError
	if errors.As(err, &nf) {
		nf.Where = l.root
		return nf
	}
	return fmt.Errorf("resolving %s in %s: %w", l.ref, l.root, err)
}

func (l *local) watch(ctx context.Context, _ Options) (<-chan struct{}, error) {
	dirs := []string{l.gitDir, l.common, filepath.Join(l.common, "refs")}
	return watchRefs(ctx, dirs, l.refDirs())
}

// refDirs are the directories below which the wanted reference can move.
func (l *local) refDirs() []string {
	trees := []string{filepath.Join(l.common, "refs", "heads"), filepath.Join(l.common, "refs", "tags")}
	for _, name := range l.ref.candidates() {
		dir := filepath.Dir(filepath.Join(l.refs.DirOf(name), filepath.FromSlash(name)))
		trees = append(trees, dir)
	}
	return trees
}

func (l *local) directory() string { return l.dir }
func (l *local) name() string      { return l.root }
func (l *local) close() error {
	l.objects.Close()
	return nil
}
