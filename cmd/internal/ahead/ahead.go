// Package ahead reads and decodes the files of a tree on the cores that whoever renders it does not use.
//
// To be ahead is to have decoded a file before it is asked for. What is asked for first is left to whoever asks, so that
// nothing is waited for that has not been begun.
package ahead

import (
	"path"
	"runtime"
	"sync"
	"sync/atomic"

	"headgate.dev/agent/git"
	"headgate.dev/render"
	"headgate.dev/schema"
)

// maxHeld bounds the files that are decoded and not asked for, in bytes of text: a tree may have many that nobody asks for.
const maxHeld = 8 << 20

// Tree is a git.Tree that implements render.Decoder. It is for one render: a file is given once.
type Tree struct {
	git.Tree
	beside git.Tree
	names  chan string
	end    chan struct{}
	ended  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	files   map[string]*file
	held    int
	full    *sync.Cond // held became less, or stopped is set
	stopped bool
}

// file is a file that somebody decodes, or has.
type file struct {
	done chan struct{} // closed when what follows is set; nil for one that was asked for first
	docs []schema.Document
	errs schema.Errors
	good bool // it could be read
	size int
}

// Of begins to decode the files below a directory, in the order of their names. Call stop when they have been rendered, and before
// the tree is closed. With a single core, the tree is given as it is.
func Of(tree git.Tree, dir string) (decoding git.Tree, stop func()) {
	workers := runtime.GOMAXPROCS(0) - 1
	if workers == 0 {
		return tree, func() {}
	}
	t := &Tree{Tree: tree, beside: git.Beside(tree), names: make(chan string, 64), end: make(chan struct{}), files: map[string]*file{}}
	t.full = sync.NewCond(&t.mu)
	t.ended.Go(func() {
		defer close(t.names)
		t.walk(path.Clean(dir))
	})
	for range workers {
		t.ended.Go(func() {
			for name := range t.names {
				t.decode(name)
			}
		})
	}
	return t, t.stop
}

func (t *Tree) stop() {
	t.mu.Lock()
	t.stopped = true
	t.full.Broadcast()
	t.mu.Unlock()
	close(t.end)
	t.ended.Wait()
}

// walk lists the files that a render would read if nothing told it otherwise. What goes wrong it leaves to the render to
// meet and to tell. It gives false when the end has come.
func (t *Tree) walk(dir string) bool {
	entries, err := t.beside.ReadDir(dir)
	if err != nil {
		return true
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case e.Name()[0] == '.':
		case e.IsDir():
			if !t.walk(name) {
				return false
			}
		case e.Type().IsRegular() && render.Readable(name):
			select {
			case t.names <- name:
			case <-t.end:
				return false
			}
		}
	}
	return true
}

func (t *Tree) decode(name string) {
	f := t.begin(name)
	if f == nil {
		return
	}
	data, err := t.beside.ReadFile(name)
	if err == nil && len(data) <= render.MaxFile {
		f.docs, f.errs = schema.Documents(name, data, schema.Limits{Bytes: render.MaxFile})
		f.good, f.size = true, len(data)
	}
	close(f.done)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held += f.size
}

// begin takes a file on, unless it was asked for already. It waits while too much is held.
func (t *Tree) begin(name string) *file {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.held >= maxHeld && !t.stopped {
		t.full.Wait()
	}
	if t.stopped || t.files[name] != nil {
		return nil
	}
	f := &file{done: make(chan struct{})}
	t.files[name] = f
	return f
}

// Documents implements render.Decoder.
func (t *Tree) Documents(name string) (docs []schema.Document, errs schema.Errors, known bool) {
	t.mu.Lock()
	f := t.files[name]
	t.files[name] = &file{}
	t.mu.Unlock()
	if f == nil || f.done == nil {
		return nil, nil, false
	}
	<-f.done
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held -= f.size
	t.full.Broadcast()
	return f.docs, f.errs, f.good
}

// Each calls f for the numbers below n on all cores; it is for render.Options.
func Each(n int, f func(i int)) {
	const few = 8 // are not worth a goroutine
	workers := min(runtime.GOMAXPROCS(0), n/few)
	if workers < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	group.Wait()
}
