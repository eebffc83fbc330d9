package render

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"headgate.dev/render/kustomize"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// MaxFile bounds the size of one file of documents, in bytes: bundles of CRDs are the largest people commit. A file
// system need not give larger files.
const MaxFile = 4 << 20

// tree is one revision of the files during one pass. It records what is read, for the cache.
type tree struct {
	fsys       fs.FS
	digester   Digester
	decoder    Decoder
	digests    map[string]string // where there is no Digester
	folders    map[string]kustomize.Kind
	docs       map[string]decoded
	reads      map[string]struct{} // of the node at work; nil outside
	last       listing             // the directory that was listed last
	rendered   int
	before     *object.Set // what the last good revision rendered to; may be nil
	unadmitted bool        // as in Options
}

// decoded is a file shared by several kustomizations.
type decoded struct {
	docs []schema.Document
	err  error
}

func newTree(fsys fs.FS) *tree {
	t := &tree{
		fsys: fsys, digests: map[string]string{}, folders: map[string]kustomize.Kind{".": kustomize.Directory}, docs: map[string]decoded{},
	}
	t.digester, _ = fsys.(Digester)
	t.decoder, _ = fsys.(Decoder)
	return t
}

func (t *tree) record(name string) {
	if t.reads != nil {
		t.reads[name] = struct{}{}
	}
}

// Kind implements kustomize.Files. What lies below a link counts as a link.
func (t *tree) Kind(name string) (kustomize.Kind, error) {
	t.record(name)
	return t.kind(name)
}

func (t *tree) kind(name string) (kustomize.Kind, error) {
	if !fs.ValidPath(name) || path.Base(name) == ".git" {
		return kustomize.Missing, nil // .git holds credentials, in a work tree
	}
	if kind, ok := t.folders[name]; ok {
		return kind, nil
	}
	if parent, err := t.kind(path.Dir(name)); err != nil || parent != kustomize.Directory {
		if parent == kustomize.Regular {
			parent = kustomize.Missing
		}
		return parent, err
	}
	kind, err := t.look(name)
	if kind == kustomize.Directory || kind == kustomize.Link {
		t.folders[name] = kind
	}
	return kind, err
}

// listing is a directory with its entries, sorted by name.
type listing struct {
	dir     string
	entries []fs.DirEntry
}

// list gives the entries of a directory.
func (t *tree) list(dir string) ([]fs.DirEntry, error) {
	if t.last.entries != nil && t.last.dir == dir {
		return t.last.entries, nil
	}
	entries, err := fs.ReadDir(t.fsys, dir)
	if err == nil {
		t.last = listing{dir, entries}
	}
	return entries, err
}

// missing tells whether a name is known not to be there, from the directory that was listed last: each is asked for names that
// most do not have.
func (t *tree) missing(name string) bool {
	if t.last.entries == nil || path.Dir(name) != t.last.dir {
		return false
	}
	_, has := slices.BinarySearchFunc(t.last.entries, path.Base(name), func(e fs.DirEntry, name string) int { return strings.Compare(e.Name(), name) })
	return !has
}

// look asks the file system for the kind of a name that has a directory above it.
func (t *tree) look(name string) (kustomize.Kind, error) {
	if t.missing(name) {
		return kustomize.Missing, nil
	}
	info, err := fs.Lstat(t.fsys, name)
	var wrong badInput
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return kustomize.Missing, nil
	case errors.As(err, &wrong) && wrong.BadInput():
		return kustomize.Regular, nil // reading it says what is wrong with it
	case err != nil:
		return kustomize.Missing, fmt.Errorf("reading %s: %w", name, err)
	case info.IsDir():
		return kustomize.Directory, nil
	case info.Mode().IsRegular():
		return kustomize.Regular, nil
	default:
		return kustomize.Link, nil
	}
}

// Read implements kustomize.Files.
func (t *tree) Read(name string) ([]byte, error) {
	t.record(name)
	data, err := readFile(t.fsys, name)
	if err == nil {
		return data, nil
	}
	if info, err := fs.Stat(t.fsys, name); err == nil && info.Size() > MaxFile {
		return nil, schema.Errors{{
			Position: schema.Position{File: name},
			Message:  fmt.Sprintf("has %d bytes; at most %d are read from one file", info.Size(), MaxFile),
		}}
	}
	var wrong badInput
	if errors.As(err, &wrong) && wrong.BadInput() {
		return nil, schema.Errors{{Position: schema.Position{File: name}, Message: wrong.Error()}}
	}
	return nil, fmt.Errorf("reading %s: %w", name, err)
}

var errTooLarge = errors.New("is too large")

// readFile reads a file of up to MaxFile bytes. It is looked for once: asking for its size first would cost as much again.
func readFile(fsys fs.FS, name string) (data []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxFile {
		return nil, errTooLarge
	}
	data = make([]byte, info.Size())
	_, err = io.ReadFull(f, data)
	return data, err
}

// badInput is an error of a file system that says that the file is wrong, not that reading it went wrong.
type badInput interface {
	error
	BadInput() bool
}

// Documents implements kustomize.Files; a base is decoded once for all that build on it.
func (t *tree) Documents(name string) ([]schema.Document, error) {
	t.record(name)
	if d, ok := t.docs[name]; ok {
		return d.docs, d.err
	}
	docs, err := t.decode(name)
	t.docs[name] = decoded{docs, err}
	return docs, err
}

// decode decodes a file; what could be decoded is given even with schema.Errors.
func (t *tree) decode(name string) ([]schema.Document, error) {
	docs, errs, known := t.decoded(name)
	if !known {
		data, err := t.Read(name)
		if err != nil {
			return nil, err
		}
		docs, errs = schema.Documents(name, data, schema.Limits{Bytes: MaxFile})
	}
	for i := range docs {
		docs[i].Root = octals(docs[i].Root)
	}
	if len(errs) > 0 {
		return docs, errs
	}
	return docs, nil
}

// decoded gives what the file system has decoded by itself.
func (t *tree) decoded(name string) (docs []schema.Document, errs schema.Errors, known bool) {
	if t.decoder == nil {
		return nil, nil, false
	}
	t.record(name)
	return t.decoder.Documents(name)
}

// digest gives the digest of a file or directory, "" for what does not exist.
func (t *tree) digest(name string) (string, error) {
	if t.digester != nil {
		d, err := t.digester.Digest(name)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("taking the digest of %s: %w", name, err)
		}
		return d, nil
	}
	if d, ok := t.digests[name]; ok {
		return d, nil
	}
	d, err := t.hash(name)
	t.digests[name] = d
	return d, err
}

// hash computes a digest where the file system has none.
func (t *tree) hash(name string) (string, error) {
	kind, err := t.kind(name)
	if err != nil {
		return "", err
	}
	switch kind {
	case kustomize.Regular:
		return t.hashFile(name)
	case kustomize.Directory:
		return t.hashDirectory(name)
	case kustomize.Link:
		return "link", nil
	default:
		return "", nil
	}
}

func (t *tree) hashFile(name string) (string, error) {
	if info, err := fs.Stat(t.fsys, name); err == nil && info.Size() > MaxFile {
		return fmt.Sprintf("large %d", info.Size()), nil // never read either
	}
	data, err := fs.ReadFile(t.fsys, name)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func (t *tree) hashDirectory(name string) (string, error) {
	entries, err := fs.ReadDir(t.fsys, name)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	h := sha256.New()
	for _, e := range entries {
		if e.IsDir() && e.Name() == ".git" {
			continue // large, and no part of what is versioned
		}
		d, err := t.digest(path.Join(name, e.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %v %s\n", e.Name(), e.IsDir(), d)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hidden tells names that begin with a dot.
func hidden(name string) bool { return name[0] == '.' && name != "." }
