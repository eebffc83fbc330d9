package pack

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"headgate.dev/agent/git/internal/odb"
)

// What Store does not take.
var (
	ErrLarge = errors.New("an object of the pack is larger than MaxObject")
	// ErrAfresh: the pack is not worth adding to what there is.
	ErrAfresh = errors.New("so much is new that a whole fetch costs less")
)

// Bounds of one pack. Beyond them a thin pack, whose objects are stored one by one, is not taken.
const (
	maxThinObjects = 2000
	maxThinBytes   = 64 << 20
)

// Store adds a pack to the bare repository in a directory. On an error nothing of it counts; what reading gives passes as it is.
func Store(dir string, r io.Reader, thin bool) (err error) {
	f, err := os.CreateTemp(dir, "incoming-")
	if err != nil {
		return fmt.Errorf("storing a pack: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	sizes, err := Measure(io.NewSectionReader(f, 0, 1<<62))
	switch {
	case err != nil:
		return fmt.Errorf("reading a pack: %w", err)
	case sizes.Largest > MaxObject:
		return ErrLarge
	case thin && (sizes.Objects > maxThinObjects || sizes.Total > maxThinBytes):
		return ErrAfresh
	case sizes.Objects == 0:
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading a pack: %w", err)
	}
	st := filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(odb.DeltaCache))
	if !thin {
		err = packfile.WritePackfileToObjectStorage(st, f)
	} else {
		err = AddThin(st, f)
	}
	if err != nil {
		return fmt.Errorf("storing a pack: %w", err)
	}
	return nil
}
