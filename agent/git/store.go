package git

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"headgate.dev/agent/git/internal/odb"
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

// errAfresh says that a pack is not worth adding to what there is.
var errAfresh = errors.New("so much is new that a whole fetch costs less")

// Bounds of one pack. Beyond them a thin pack, whose objects are stored one by one, is not taken.
const (
	maxThinObjects = 2000
	maxThinBytes   = 64 << 20
)

// add stores a pack; url names its source in errors. On an error nothing of it counts.
func (s *store) add(r io.Reader, thin bool, url string) (err error) {
	f, err := os.CreateTemp(s.dir, "incoming-")
	if err != nil {
		return fmt.Errorf("storing a pack: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	sizes, err := pack.Measure(io.NewSectionReader(f, 0, 1<<62))
	switch {
	case err != nil:
		return fmt.Errorf("reading a pack: %w", err)
	case sizes.Largest > pack.MaxObject:
		return &TooBigError{What: "fetching a file from " + url, Limit: pack.MaxObject, Unit: "bytes",
			Hint: "remove it from the branch, or let the server leave out large files (uploadpack.allowFilter)"}
	case thin && (sizes.Objects > maxThinObjects || sizes.Total > maxThinBytes):
		return errAfresh
	case sizes.Objects == 0:
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading a pack: %w", err)
	}
	st := filesystem.NewStorage(osfs.New(s.dir), cache.NewObjectLRU(odb.DeltaCache))
	if !thin {
		err = packfile.WritePackfileToObjectStorage(st, f)
	} else {
		err = pack.AddThin(st, f)
	}
	if err != nil {
		return fmt.Errorf("storing a pack: %w", err)
	}
	return nil
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
