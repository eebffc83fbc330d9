package git

import (
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"headgate.dev/agent/git/internal/listing"
	"headgate.dev/agent/git/internal/odb"
)

// committed is the content of commits: Git's objects.
type committed struct {
	objects *objects
	cache   *listing.Cache
	// filtered: the store was fetched without blobs above the limit, so that a missing one is one of those.
	filtered bool
}

func (c *committed) list(id plumbing.Hash, limit int) (listing.Listing, error) {
	return c.cache.Get(c.objects.Reader, id, limit)
}

func (c *committed) blob(_ string, e listing.Entry, limit int64) ([]byte, int64, error) {
	f, err := c.objects.Read(e.ID, plumbing.BlobObject, limit)
	return f.Data, f.Size, err
}

func (c *committed) explain(err error) error {
	switch {
	case !errors.Is(err, plumbing.ErrObjectNotFound):
		return err
	case c.filtered:
		return odb.ErrTooLarge
	}
	return fmt.Errorf("its object is missing, as in a partial clone: run \"git fetch --refetch --no-filter\" there: %w", err)
}
