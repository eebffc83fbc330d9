package git

import (
	"errors"
	"fmt"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"headgate.dev/agent/git/internal/odb"
)

// committed is the content of commits: Git's objects.
type committed struct {
	objects *objects
	cache   *listings
	// filtered: the store was fetched without blobs above the limit, so that a missing one is one of those.
	filtered bool
}

func (c *committed) list(id plumbing.Hash, limit int) (listing, error) {
	return c.cache.get(c.objects, id, limit)
}

func (c *committed) blob(_ string, e entry, limit int64) ([]byte, int64, error) {
	f, err := c.objects.Read(e.id, plumbing.BlobObject, limit)
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

// listings caches directories by id, across commits.
type listings struct {
	mu      sync.Mutex
	byID    map[plumbing.Hash]listing
	entries int
}

// maxCached bounds the entries of cached directories; about 70 bytes each. At the bound all are forgotten: every commit
// brings a new root, and the old ones, as large as the repository is wide, are never asked for again.
const maxCached = 60_000

func (c *listings) get(o *objects, id plumbing.Hash, limit int) (listing, error) {
	c.mu.Lock()
	l, ok := c.byID[id]
	c.mu.Unlock()
	if ok {
		return l, nil
	}
	f, err := o.Read(id, plumbing.TreeObject, int64(limit)*512+1<<20)
	if err != nil {
		return nil, err
	}
	if l, err = parseListing(f.Data); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries+len(l) > maxCached || c.byID == nil {
		c.byID, c.entries = map[plumbing.Hash]listing{}, 0
	}
	c.byID[id] = l
	c.entries += len(l)
	return l, nil
}
