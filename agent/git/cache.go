package git

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"headgate.dev/agent/git/internal/file"
	"headgate.dev/agent/git/internal/listing"
)

// storeCache is the stores of one repository as somebody with certain credentials sees it. All remotes of this process that do share it, whatever
// reference they follow: so a commit that one of them has fetched is there for all.
type storeCache struct {
	dir      string
	fetches  int           // maxFetches
	lock     *os.File      // nil when the directory is ours alone, and is removed in the end
	turn     chan struct{} // has room for whoever fetches
	listings listing.Cache
	users    int // guarded by caches.mu

	mu      sync.Mutex // guards what follows, and of each store commits, filtered and users
	current *store     // nil before the first fetch
	next    int
}

// caches are those that are open in this process, by the directory that was asked for.
var caches = struct {
	mu    sync.Mutex
	byDir map[string]*storeCache
}{byDir: map[string]*storeCache{}}

// openCache takes the directory key below root, or shares it. Where another process holds it, it takes one of its own.
func openCache(root, key string) (*storeCache, error) {
	dir := filepath.Join(root, key)
	caches.mu.Lock()
	defer caches.mu.Unlock()
	c := caches.byDir[dir]
	if c == nil {
		var err error
		if c, err = newCache(root, key); err != nil {
			return nil, err
		}
		caches.byDir[dir] = c
	}
	c.users++
	return c, nil
}

func newCache(root, key string) (*storeCache, error) {
	c := &storeCache{dir: filepath.Join(root, key), fetches: maxFetches, turn: make(chan struct{}, 1)}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := file.Lock(filepath.Join(c.dir, "lock"))
	if lock == nil && err == nil {
		c.dir, err = os.MkdirTemp(root, key+"-")
		return c, err
	}
	if err != nil {
		return nil, err
	}
	c.lock = lock
	return c, c.load()
}

// load finds the newest store with a complete commit, and removes all others: they are what a crash left.
func (c *storeCache) load() error {
	dirs, err := filepath.Glob(filepath.Join(c.dir, "store-*"))
	if err != nil {
		return err
	}
	slices.Sort(dirs)
	for _, dir := range slices.Backward(dirs) {
		var n int
		if _, err := fmt.Sscanf(filepath.Base(dir), "store-%d", &n); err == nil {
			c.next = max(c.next, n)
		}
		data, err := os.ReadFile(filepath.Join(dir, "shallow"))
		commits := strings.Fields(string(data))
		if err != nil || c.current != nil || len(commits) == 0 {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			continue
		}
		c.current = &store{dir: dir, objects: newObjects(dir), commits: commits, filtered: true}
	}
	return nil
}

// enter waits until nobody else fetches; leave lets the next one.
func (c *storeCache) enter(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for another fetch from the same repository: %w", context.Cause(ctx))
	}
}

func (c *storeCache) leave() { <-c.turn }

// borrow gives the store that is fetched into, which stays until release; nil before the first fetch.
func (c *storeCache) borrow() *store {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		c.current.users++
	}
	return c.current
}

// has tells whether a commit is complete in a store.
func (c *storeCache) has(s *store, hash string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.has(hash)
}

// lacks tells whether a store may lack large blobs.
func (c *storeCache) lacks(s *store) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.filtered
}

// done notes that a commit is complete.
func (c *storeCache) done(s *store, hash string, filtered bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.filtered = s.filtered || filtered
	return s.done(hash)
}

// fresh makes an empty store, which counts once it is used.
func (c *storeCache) fresh() (*store, error) {
	c.mu.Lock()
	c.next++
	s := &store{dir: filepath.Join(c.dir, fmt.Sprintf("store-%09d", c.next))}
	c.mu.Unlock()
	if err := os.RemoveAll(s.dir); err != nil {
		return nil, err
	}
	s.objects = newObjects(s.dir)
	if err := filesystem.NewStorage(osfs.New(s.dir), cache.NewObjectLRUDefault()).Init(); err != nil {
		return nil, fmt.Errorf("making a store: %w", err)
	}
	return s, nil
}

// use makes a store the current one, and borrows it. The one before goes when nobody reads it any more.
func (c *storeCache) use(s *store) error {
	c.mu.Lock()
	old := c.current
	c.current = s
	s.users++
	gone := old != nil && old.users == 0
	c.mu.Unlock()
	if gone {
		return old.remove()
	}
	return nil
}

// release gives a borrowed store back.
func (c *storeCache) release(s *store) error {
	c.mu.Lock()
	s.users--
	gone := s.users == 0 && s != c.current
	c.mu.Unlock()
	if gone {
		return s.remove()
	}
	return nil
}

// close ends the use by one remote, which has released its stores.
func (c *storeCache) close() error {
	caches.mu.Lock()
	defer caches.mu.Unlock()
	if c.users--; c.users > 0 {
		return nil
	}
	maps.DeleteFunc(caches.byDir, func(_ string, open *storeCache) bool { return open == c })
	if c.current != nil {
		c.current.objects.Close()
	}
	if c.lock == nil {
		return os.RemoveAll(c.dir)
	}
	return c.lock.Close()
}
