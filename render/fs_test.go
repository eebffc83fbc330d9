package render_test

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"
)

type fileInfo struct {
	name string
	mode fs.FileMode
	size int64
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

func sorted(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }

// prune takes away directories that became empty, which Git does not know.
func (f *gitFS) prune() {
	for changed := true; changed; {
		changed = false
		for dir, names := range f.dirs {
			if len(names) == 0 && dir != "." {
				delete(f.dirs, dir)
				delete(f.digests, dir)
				delete(f.dirs[path.Dir(dir)], path.Base(dir))
				changed = true
			}
		}
	}
}
