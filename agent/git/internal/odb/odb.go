// Package odb reads the objects of a Git repository on disk, loose ones and those in packs.
package odb

import (
	"bufio"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Reader reads the objects of one repository, and stays correct while git adds loose objects, repacks and prunes.
type Reader struct {
	dir string // what holds "objects": the common directory

	mu     sync.Mutex // guards everything below
	stores []*filesystem.Storage
	dirs   []string // of stores: dir, then its alternates
}

// DeltaCache bounds, in bytes, what go-git keeps of inflated objects: bases of deltas. Trees have a cache of their own.
const DeltaCache = 16 << 20

// ErrTooLarge is the error for an object that is larger than asked for.
var ErrTooLarge = errors.New("object is larger than asked for")

// New makes a Reader of the directory that holds "objects". It opens nothing yet.
func New(dir string) *Reader { return &Reader{dir: dir} }

// Found is an object that was read; without data when it is larger than asked for.
type Found struct {
	Kind plumbing.ObjectType
	Size int64
	Data []byte
}

// Read gives an object of the kind t, or of any. It answers ErrTooLarge, with the size, for one of more than limit bytes,
// and plumbing.ErrObjectNotFound for a missing one.
func (o *Reader) Read(id plumbing.Hash, t plumbing.ObjectType, limit int64) (Found, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f, err := o.lookup(id, limit)
	if err == nil || errors.Is(err, ErrTooLarge) {
		return f, f.check(id, t, err)
	}
	// A repack moved the object after the list of packs was read: look again with a fresh one.
	o.closeLocked()
	f, err = o.lookup(id, limit)
	return f, f.check(id, t, err)
}

func (f Found) check(id plumbing.Hash, t plumbing.ObjectType, err error) error {
	if err == nil && t != plumbing.AnyObject && f.Kind != t {
		return fmt.Errorf("reading object %s: it is a %s, not a %s", id, f.Kind, t)
	}
	return err
}

func (o *Reader) lookup(id plumbing.Hash, limit int64) (Found, error) {
	if o.stores == nil {
		o.open()
	}
	for _, dir := range o.dirs {
		f, err := readLoose(dir, id, limit)
		if !errors.Is(err, os.ErrNotExist) {
			return f, err
		}
	}
	for i, st := range o.stores {
		if i < len(o.stores)-1 {
			// EncodedObject looks for what is not there in the stores that this one borrows from, and opens them anew each time.
			_, err := st.EncodedObjectSize(id)
			if errors.Is(err, plumbing.ErrObjectNotFound) {
				continue
			}
			if err != nil {
				return Found{}, err
			}
		}
		return readPacked(st, id, limit)
	}
	return Found{}, plumbing.ErrObjectNotFound
}

// readPacked reads an object out of a pack. go-git gives one of more than 16 KiB without its bytes, but with its size.
func readPacked(st *filesystem.Storage, id plumbing.Hash, limit int64) (f Found, err error) {
	obj, err := st.EncodedObject(plumbing.AnyObject, id)
	if err != nil {
		return Found{}, err
	}
	if obj.Size() > limit {
		return Found{Size: obj.Size()}, ErrTooLarge
	}
	r, err := obj.Reader()
	if err != nil {
		return Found{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f = Found{Kind: obj.Type(), Size: obj.Size(), Data: make([]byte, obj.Size())}
	_, err = io.ReadFull(r, f.Data)
	return f, err
}

var inflaters = sync.Pool{New: func() any { return nil }}

// readLoose reads one loose object without asking the packs, whose indexes need not be loaded then.
func readLoose(dir string, id plumbing.Hash, limit int64) (o Found, err error) {
	h := id.String()
	f, err := os.Open(filepath.Join(dir, "objects", h[:2], h[2:]))
	if err != nil {
		return Found{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, _ := inflaters.Get().(io.ReadCloser)
	if r, ok := z.(zlib.Resetter); ok {
		err = r.Reset(f, nil)
	} else {
		z, err = zlib.NewReader(f)
	}
	if err != nil {
		return Found{}, fmt.Errorf("reading object %s: %w", h, err)
	}
	defer inflaters.Put(z)
	if o, err = inflate(z, limit); err != nil && !errors.Is(err, ErrTooLarge) {
		err = fmt.Errorf("reading object %s: %w", h, err)
	}
	return o, err
}

// inflate reads "KIND SIZE\x00" and then the content.
func inflate(r io.Reader, limit int64) (Found, error) {
	br := bufio.NewReaderSize(r, 512)
	head, err := br.ReadString(0)
	if err != nil {
		return Found{}, err
	}
	name, number, _ := strings.Cut(strings.TrimSuffix(head, "\x00"), " ")
	o := Found{}
	o.Kind, err = plumbing.ParseObjectType(name)
	if err != nil {
		return Found{}, err
	}
	if o.Size, err = strconv.ParseInt(number, 10, 64); err != nil || o.Size < 0 {
		return Found{}, fmt.Errorf("bad header %q", head)
	}
	if o.Size > limit {
		return o, ErrTooLarge
	}
	o.Data = make([]byte, o.Size)
	_, err = io.ReadFull(br, o.Data)
	return o, err
}

// open lists the object directories: the repository's own and those it borrows from.
func (o *Reader) open() {
	o.dirs = nil
	o.addDir(o.dir, 0)
	for _, dir := range o.dirs {
		// Descriptors are kept so that a pack that was deleted can still be read.
		st := filesystem.NewStorageWithOptions(osfs.New(dir), cache.NewObjectLRU(DeltaCache),
			filesystem.Options{KeepDescriptors: true, AlternatesFS: osfs.New("/")})
		o.stores = append(o.stores, st)
	}
}

func (o *Reader) addDir(dir string, depth int) {
	o.dirs = append(o.dirs, dir)
	data, err := os.ReadFile(filepath.Join(dir, "objects", "info", "alternates"))
	if err != nil || depth == 5 {
		return
	}
	for line := range strings.Lines(string(data)) {
		path := strings.TrimSpace(line)
		if path == "" || path[0] == '#' {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, "objects", path)
		}
		if filepath.Base(path) == "objects" {
			o.addDir(filepath.Dir(path), depth+1)
		}
	}
}

// WithPrefix gives the ids that begin with the given digits.
func (o *Reader) WithPrefix(prefix string) ([]plumbing.Hash, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked()
	o.open()
	even := prefix[:len(prefix)/2*2]
	raw := plumbing.NewHash(even + strings.Repeat("0", 40-len(even)))
	seen := map[plumbing.Hash]bool{}
	var found []plumbing.Hash
	for _, st := range o.stores {
		ids, err := st.HashesWithPrefix(raw[:len(even)/2])
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if strings.HasPrefix(id.String(), prefix) && !seen[id] {
				seen[id] = true
				found = append(found, id)
			}
		}
	}
	return found, nil
}

func (o *Reader) closeLocked() {
	for _, st := range o.stores {
		_ = st.ObjectStorage.Close() // read only: nothing can be lost
	}
	o.stores = nil
}

// Close gives back what is open. Reading opens it again.
func (o *Reader) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked()
}
