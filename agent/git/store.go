package git

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"headgate.dev/agent/git/internal/pack"
)

// maxFetches is how many fetches a store takes, each with loose objects that are never pruned, before a fresh one
// replaces it.
const maxFetches = 256

// store is a bare repository that one remote is fetched into. Its file "shallow" lists the commits that are complete,
// without their history, the newest last.
type store struct {
	dir     string
	objects *objects
	commits []string
	// filtered: blobs above the limit may have been left out by the server.
	filtered bool
	users    int // remotes that may still read it; guarded by storeCache.mu
}

func (s *store) has(hash string) bool { return slices.Contains(s.commits, hash) }
func (s *store) fetches() int         { return len(s.commits) }

// recent gives commits a server may build on, the newest first.
func (s *store) recent() []string {
	r := slices.Clone(s.commits[max(0, len(s.commits)-8):])
	slices.Reverse(r)
	return r
}

// add stores a pack; url names its source in errors. On an error nothing of it counts.
func (s *store) add(r io.Reader, thin bool, url string) error {
	err := pack.Store(s.dir, r, thin)
	if errors.Is(err, pack.ErrLarge) {
		return &TooBigError{What: "fetching a file from " + url, Limit: pack.MaxObject, Unit: "bytes",
			Hint: "remove it from the branch, or let the server leave out large files (uploadpack.allowFilter)"}
	}
	return err
}

// done notes that a commit is complete.
func (s *store) done(hash string) error {
	if s.has(hash) {
		s.commits = slices.DeleteFunc(s.commits, func(h string) bool { return h == hash })
	}
	s.commits = append(s.commits, hash)
	path := filepath.Join(s.dir, "shallow")
	if err := os.WriteFile(path+".new", []byte(strings.Join(s.commits, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("noting a fetched commit: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("noting a fetched commit: %w", err)
	}
	return nil
}

func (s *store) remove() error {
	s.objects.Close()
	return os.RemoveAll(s.dir)
}
