// Package watch turns file system events into hints: something below some directories may have changed.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// maxWatches bounds how many directories one watch takes from the system's share.
const maxWatches = 8192

// Options say what is watched.
type Options struct {
	Dirs  []string // watched by themselves
	Trees []string // roots of what is watched with all that is below, also when it is made later
	// Skip leaves a path out, with all below it; nil leaves nothing out.
	Skip func(path string) bool
	// Event is told the path of each event that counts, before the hint; an empty path when events may be lost. It may be nil.
	Event func(path string)
	// Settle delays a hint until that long after the last event, but not beyond ten times as long after the first.
	Settle time.Duration
}

// TooManyError says that there are more directories than one watch may take.
type TooManyError struct {
	Dir   string // the first that did not fit
	Limit int
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("watching %s: more than %d directories", e.Dir, e.Limit)
}

// Start watches until the context ends, which closes the channel. Hints coalesce. The error is a TooManyError, or what the
// system says.
func Start(ctx context.Context, o Options) (<-chan struct{}, error) {
	w := &watcher{Options: o, hints: make(chan struct{}, 1)}
	if w.Skip == nil {
		w.Skip = func(string) bool { return false }
	}
	if w.Event == nil {
		w.Event = func(string) {}
	}
	if err := w.build(); err != nil {
		return nil, err
	}
	go w.run(ctx)
	return w.hints, nil
}

// watcher is a watch. One goroutine owns it.
type watcher struct {
	Options
	fs      *fsnotify.Watcher
	watched map[string]bool // paths
	hints   chan struct{}
	timer   <-chan time.Time // nil when no hint is due
	latest  time.Time        // when the hint must come
}

// build watches everything anew. On an error the watches are those of before.
func (w *watcher) build() error {
	f, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching files: %w: the system allows no more watchers (fs.inotify.max_user_instances)", err)
	}
	old, watched := w.fs, w.watched
	w.fs, w.watched = f, map[string]bool{}
	for _, d := range w.Dirs {
		err = errors.Join(err, w.add(d))
	}
	for _, d := range w.Trees {
		err = errors.Join(err, w.addTree(d))
	}
	if err != nil {
		w.fs, w.watched = old, watched
		return errors.Join(err, f.Close())
	}
	if old != nil {
		return old.Close()
	}
	return nil
}

func (w *watcher) add(dir string) error {
	if len(w.watched) >= maxWatches {
		return &TooManyError{Dir: dir, Limit: maxWatches}
	}
	err := w.fs.Add(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watching %s: %w: if the system allows no more, raise fs.inotify.max_user_watches", dir, err)
	}
	w.watched[dir] = true
	return nil
}

// addTree watches a directory and all directories below it. One that does not exist is watched once it is made, as its
// parent is watched.
func (w *watcher) addTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // gone since it was listed
		}
		if path != root && w.Skip(path) {
			return filepath.SkipDir
		}
		return w.add(path)
	})
}

func (w *watcher) below(path string) bool {
	for _, t := range w.Trees {
		if path == t || strings.HasPrefix(path, t+string(filepath.Separator)) || strings.HasPrefix(t, path+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// run ends with the context. It handles: an event, an error (events may be lost: hint), a hint that is due, the end.
func (w *watcher) run(ctx context.Context) {
	defer close(w.hints)
	defer func() { _ = w.fs.Close() }()
	for {
		select {
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			w.handle(e)
		case _, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			w.Event("")
			w.hint()
		case <-w.timer:
			w.timer = nil
			w.hint()
		case <-ctx.Done():
			return
		}
	}
}

func (w *watcher) handle(e fsnotify.Event) {
	if e.Op == fsnotify.Chmod || w.Skip(e.Name) {
		return
	}
	if e.Has(fsnotify.Remove) {
		delete(w.watched, e.Name)
	}
	if e.Has(fsnotify.Rename) && w.watched[e.Name] {
		// The watches of a moved directory go on under its old name, and cannot be made again under the new one.
		_ = w.build()
		w.Event("")
		w.due()
		return
	}
	if e.Has(fsnotify.Create) && w.below(e.Name) {
		if st, err := os.Lstat(e.Name); err == nil && st.IsDir() {
			// What was made in it before it was watched is seen by whoever takes the hint.
			_ = w.addTree(e.Name)
		}
	}
	w.Event(e.Name)
	w.due()
}

// due sends a hint, now or when things have settled.
func (w *watcher) due() {
	if w.Settle == 0 {
		w.hint()
		return
	}
	now := time.Now()
	if w.timer == nil {
		w.latest = now.Add(10 * w.Settle)
	}
	w.timer = time.After(min(w.Settle, w.latest.Sub(now)))
}

func (w *watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}
