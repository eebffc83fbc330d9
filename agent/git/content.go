package git

import (
	"errors"
	"fmt"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
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
	f, err := c.objects.read(e.id, plumbing.BlobObject, limit)
	return f.data, f.size, err
}

func (c *committed) explain(err error) error {
	switch {
	case !errors.Is(err, plumbing.ErrObjectNotFound):
		return err
	case c.filtered:
		return errTooLarge
	}
	return fmt.Errorf("its object is missing, as in a partial clone: run \"git fetch --refetch --no-filter\" there: %w", err)
}

// listings caches directories by id, across commits. What was not asked for during a whole generation is forgotten: every
// commit brings a new root, and the old ones, as large as the repository is wide, are never asked for again.
type listings struct {
	mu         sync.Mutex
	young, old map[plumbing.Hash]listing
	entries    int // in young
}

// maxCached bounds the entries of the directories of a generation; about 70 bytes each.
const maxCached = 60_000

func (c *listings) get(o *objects, id plumbing.Hash, limit int) (listing, error) {
	if l, ok := c.cached(id); ok {
		return l, nil
	}
	f, err := o.read(id, plumbing.TreeObject, int64(limit)*512+1<<20)
	if err != nil {
		return nil, err
	}
	l, err := parseListing(f.data)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(id, l)
	return l, nil
}

func (c *listings) cached(id plumbing.Hash) (listing, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.young[id]; ok {
		return l, true
	}
	l, ok := c.old[id]
	if ok {
		c.put(id, l)
	}
	return l, ok
}

// put is called with the lock held.
func (c *listings) put(id plumbing.Hash, l listing) {
	if c.young == nil || c.entries+len(l) > maxCached && c.entries > 0 {
		c.old, c.young, c.entries = c.young, map[plumbing.Hash]listing{}, 0
	}
	c.young[id] = l
	c.entries += len(l)
}
