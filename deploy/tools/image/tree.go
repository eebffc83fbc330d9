package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// file is a file, a directory (no data, no link) or a symbolic link of an image. Everything belongs to root.
type file struct {
	mode int64 // permissions, as chmod has them
	dir  bool
	link string
	data []byte
}

// tree is files by their paths, which have no leading slash.
type tree map[string]file

// add adds a file and the directories above it.
func (t tree) add(name string, f file) {
	t[name] = f
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := t[dir]; !ok {
			t[dir] = file{mode: 0o755, dir: true}
		}
	}
}

func (t tree) addDir(name string, mode int64) { t.add(name, file{mode: mode, dir: true}) }

// tar is the tree as a tar archive: sorted, and without anything that depends on when or where it was made.
func (t tree) tar() ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(t)) {
		f := t[name]
		h := &tar.Header{Name: name, Mode: f.mode, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		switch {
		case f.dir:
			h.Typeflag, h.Name = tar.TypeDir, name+"/"
		case f.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
		default:
			h.Typeflag, h.Size = tar.TypeReg, int64(len(f.data))
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// writeRootfs writes all layers to a directory that it makes.
func writeRootfs(dir string, layers []tree) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, t := range layers {
		for _, name := range slices.Sorted(maps.Keys(t)) { // directories before what is in them
			f, to := t[name], filepath.Join(dir, filepath.FromSlash(name))
			if err := f.write(to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f file) write(to string) error {
	switch {
	case f.dir:
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
	case f.link != "":
		return os.Symlink(f.link, to)
	default:
		if err := os.WriteFile(to, f.data, 0o600); err != nil {
			return err
		}
	}
	mode := os.FileMode(f.mode & 0o777)
	if f.mode&0o1000 != 0 {
		mode |= os.ModeSticky
	}
	return os.Chmod(to, mode)
}
