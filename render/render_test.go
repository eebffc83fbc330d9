package render_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var outputs = []string{"want.yaml", "errors", "warnings"}

// TestGolden renders testdata/*.txtar: the files of the tree, then what they render to in "want.yaml" or what is wrong
// with them in "errors", and the "warnings". A comment line "dir: NAME" renders a directory other than the root, "gateway: NAME" gives a
// default gateway.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tree, inputs := fstest.MapFS{}, archive.Files[:0:0]
			want := map[string]string{}
			for _, file := range archive.Files {
				if slices.Contains(outputs, file.Name) {
					want[file.Name] = string(file.Data)
					continue
				}
				inputs = append(inputs, file)
				if target, ok := strings.CutSuffix(file.Name, ".link"); ok {
					tree[target] = &fstest.MapFile{Data: bytes.TrimSpace(file.Data), Mode: fs.ModeSymlink | 0o777}
					continue
				}
				tree[file.Name] = &fstest.MapFile{Data: file.Data}
			}
			dir, options := ".", render.Options{Namespace: "default"}
			for line := range strings.Lines(string(archive.Comment)) {
				if value, ok := strings.CutPrefix(line, "dir: "); ok {
					dir = strings.TrimSpace(value)
				}
				if value, ok := strings.CutPrefix(line, "gateway: "); ok {
					options.Gateway = strings.TrimSpace(value)
				}
			}
			got := map[string]string{}
			result, err := render.Tree(tree, dir, options)
			var wrong schema.Errors
			switch {
			case errors.As(err, &wrong):
				got["errors"] = wrong.Error() + "\n"
			case err != nil:
				t.Fatal(err)
			default:
				var out bytes.Buffer
				if err := object.WriteYAML(&out, result.Set.All(), object.PrintOptions{}); err != nil {
					t.Fatal(err)
				}
				got["want.yaml"] = out.String()
				if warnings := append(result.Warnings, result.Ungranted...); len(warnings) > 0 {
					got["warnings"] = warnings.Sort().Error() + "\n"
				}
			}
			if *update {
				archive.Files = inputs
				for _, key := range outputs {
					if text, ok := got[key]; ok {
						archive.Files = append(archive.Files, txtar.File{Name: key, Data: []byte(text)})
					}
				}
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, key := range outputs {
				if got[key] != want[key] {
					t.Errorf("%s: got\n%s\nwant\n%s", key, got[key], want[key])
				}
			}
		})
	}
}

// gitFS is a tree in memory that knows its digests, as a Git tree does, and counts what is read.
type gitFS struct {
	fstest.MapFS
	digests map[string]string
	dirs    map[string]map[string]bool
	entries map[string][]fs.DirEntry // of dirs, as far as they were asked for
	reads   map[string]int
}

func newGitFS(files map[string]string) *gitFS {
	f := &gitFS{MapFS: fstest.MapFS{}, digests: map[string]string{}, dirs: map[string]map[string]bool{".": {}}, reads: map[string]int{}, entries: map[string][]fs.DirEntry{}}
	for name, text := range files {
		f.write(name, text)
	}
	f.seal(".")
	return f
}

func (f *gitFS) write(name, text string) {
	f.MapFS[name] = &fstest.MapFile{Data: []byte(text)}
	f.digests[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	for child := name; child != "."; child = path.Dir(child) {
		dir := path.Dir(child)
		delete(f.entries, dir)
		if f.dirs[dir] == nil {
			f.dirs[dir] = map[string]bool{}
		}
		f.dirs[dir][path.Base(child)] = true
	}
}

// seal computes the digests of directories.
func (f *gitFS) seal(dir string) string {
	delete(f.entries, dir)
	var names []string
	for name := range f.dirs[dir] {
		names = append(names, name)
	}
	sort.Strings(names)
	h := sha256.New()
	for _, name := range names {
		child := path.Join(dir, name)
		digest := f.digests[child]
		if f.dirs[child] != nil {
			digest = f.seal(child)
		}
		fmt.Fprintln(h, name, digest)
	}
	f.digests[dir] = fmt.Sprintf("%x", h.Sum(nil))
	return f.digests[dir]
}

// change gives the next revision.
func (f *gitFS) change(name, text string) {
	f.write(name, text)
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		h := sha256.New()
		var names []string
		for n := range f.dirs[dir] {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			fmt.Fprintln(h, n, f.digests[path.Join(dir, n)])
		}
		f.digests[dir] = fmt.Sprintf("%x", h.Sum(nil))
		if dir == "." {
			return
		}
	}
}

func (f *gitFS) remove(name string) {
	delete(f.MapFS, name)
	delete(f.digests, name)
	delete(f.dirs[path.Dir(name)], path.Base(name))
	f.seal(".")
}

func (f *gitFS) Digest(name string) (string, error) {
	if d, ok := f.digests[name]; ok {
		return d, nil
	}
	return "", fs.ErrNotExist
}

func (f *gitFS) Open(name string) (fs.File, error) {
	f.reads[name]++
	return f.MapFS.Open(name)
}

func (f *gitFS) ReadFile(name string) ([]byte, error) {
	f.reads[name]++
	file, ok := f.MapFS[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return file.Data, nil
}

// ReadDir is not MapFS's, which looks at every file of the tree.
func (f *gitFS) ReadDir(dir string) ([]fs.DirEntry, error) {
	f.reads[dir]++
	if known, has := f.entries[dir]; has {
		return known, nil
	}
	var names []string
	for name := range f.dirs[dir] {
		names = append(names, name)
	}
	sort.Strings(names)
	out := make([]fs.DirEntry, len(names))
	for i, name := range names {
		out[i] = gitEntry{fs.FileInfoToDirEntry(f.info(path.Join(dir, name))), f.digests[path.Join(dir, name)]}
	}
	f.entries[dir] = out
	return out, nil
}

// gitEntry is an entry that knows its digest.
type gitEntry struct {
	fs.DirEntry
	digest string
}

func (e gitEntry) HasDigest(digest string) bool { return e.digest == digest }

func (f *gitFS) info(name string) fs.FileInfo {
	if f.dirs[name] != nil {
		return fileInfo{name: path.Base(name), mode: fs.ModeDir | 0o755}
	}
	return fileInfo{name: path.Base(name), mode: 0o644, size: int64(len(f.MapFS[name].Data))}
}

func (f *gitFS) Stat(name string) (fs.FileInfo, error) { return f.Lstat(name) }

func (f *gitFS) Lstat(name string) (fs.FileInfo, error) {
	if f.dirs[name] == nil && f.MapFS[name] == nil {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
	}
	return f.info(name), nil
}
