// Package postgres makes an image of the PostgreSQL that this machine has from Debian's packages.
package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"headgate.dev/deploy/testcluster/internal/image"
)

//go:embed entry.sh
var entry string

const (
	versions = "/usr/lib/postgresql" // a directory of each version
	user     = "999"
	// noServer makes Debian's package leave this machine without a server of its own.
	noServer = "/etc/postgresql-common/createcluster.d/headgate-testcluster.conf"
)

// Installed tells whether the machine has PostgreSQL.
func Installed() bool {
	_, err := version()
	return err == nil
}

// WithoutServer sees to it that the package, which is not installed yet, starts no server on this machine.
func WithoutServer() error {
	if err := os.MkdirAll(filepath.Dir(noServer), 0o755); err != nil {
		return err
	}
	return os.WriteFile(noServer, []byte("create_main_cluster = false\n"), 0o644)
}

// version is the newest version that is installed.
func version() (string, error) {
	found, err := filepath.Glob(filepath.Join(versions, "*", "bin", "postgres"))
	if err != nil {
		return "", err
	}
	newest := -1
	for _, path := range found {
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))); err == nil {
			newest = max(newest, n)
		}
	}
	if newest < 0 {
		return "", errors.New("this machine has no PostgreSQL; on Debian run `testcluster packages --install` (make cluster-deps)")
	}
	return strconv.Itoa(newest), nil
}

// Image gives the image: the server and what it needs of this machine, without the compiler of queries, which is most of its size.
func Image(ctx context.Context, ref string) (image.Image, error) {
	v, err := version()
	if err != nil {
		return image.Image{}, err
	}
	home := filepath.Join(versions, v)
	programs := []string{"/bin/sh"}
	for _, name := range []string{"postgres", "initdb", "pg_isready", "psql"} {
		programs = append(programs, filepath.Join(home, "bin", name))
	}
	modules, err := filepath.Glob(filepath.Join(home, "lib", "*.so"))
	if err != nil {
		return image.Image{}, err
	}
	modules = slices.DeleteFunc(modules, func(path string) bool { return strings.Contains(filepath.Base(path), "llvmjit") })
	files := slices.Concat(programs, modules)
	libraries, err := linked(ctx, files)
	if err != nil {
		return image.Image{}, err
	}
	files = append(files, libraries...)
	for _, dir := range []string{"/usr/share/postgresql/" + v, "/usr/share/zoneinfo/Etc", "/usr/lib/locale/C.utf8"} {
		more, err := under(dir)
		if err != nil {
			return image.Image{}, err
		}
		files = append(files, more...)
	}
	byPath := map[string]string{}
	for _, path := range files {
		byPath[path] = path
	}
	return image.Image{
		Ref: ref, Entrypoint: []string{"/entry.sh"}, User: user + ":" + user, Files: byPath,
		Texts: map[string]string{
			"/entry.sh":   strings.ReplaceAll(entry, "BIN", filepath.Join(home, "bin")),
			"/etc/passwd": "root:x:0:0:root:/:/bin/sh\npostgres:x:" + user + ":" + user + ":postgres:/data:/bin/sh\n",
			"/etc/group":  "root:x:0:\npostgres:x:" + user + ":\n",
		},
	}, nil
}

// linked lists the loader and the libraries of programs.
func linked(ctx context.Context, programs []string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", programs...).Output()
	if err != nil {
		return nil, fmt.Errorf("listing the libraries of PostgreSQL: %w", err)
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(word, "/") && !strings.HasSuffix(word, ":") {
				all = append(all, word)
			}
		}
	}
	return all, nil
}

// under lists the files of a directory but for manual pages.
func under(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "man":
			return filepath.SkipDir
		case d.IsDir() || strings.HasSuffix(path, ".gz"):
			return nil
		}
		if target, err := os.Stat(path); err != nil || target.IsDir() {
			return err
		}
		files = append(files, path)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the files of PostgreSQL: %w", err)
	}
	return files, nil
}
