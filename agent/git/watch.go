package git

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

// watcher turns file system events into hints. One goroutine owns it.
type watcher struct {
	fs      *fsnotify.Watcher
	watched map[string]bool // paths
	hints   chan struct{}
	dirs    []string // watched by themselves
	trees   []string // roots of what is watched with all that is below, also when it is made later
	skip    func(path string) bool
	// event is told of each event that counts, before the hint.
	event func(path string)
	// settle delays a hint until that long after the last event, but not beyond ten times as long after the first.
	settle time.Duration
	timer  <-chan time.Time // nil when no hint is due
	latest time.Time        // when the hint must come
}

func watchRefs(ctx context.Context, dirs, trees []string) (<-chan struct{}, error) {
	w := newWatcher(dirs, trees)
	w.skip = func(path string) bool { return strings.HasSuffix(path, ".lock") }
	if err := w.build(); err != nil {
		return nil, err
	}
	go w.run(ctx)
	return w.hints, nil
}

func newWatcher(dirs, trees []string) *watcher {
	return &watcher{hints: make(chan struct{}, 1), dirs: dirs, trees: trees,
		skip: func(string) bool { return false }, event: func(string) {}}
}

// build watches everything anew. On an error the watches are those of before.
func (w *watcher) build() error {
	f, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching files: %w: the system allows no more watchers (fs.inotify.max_user_instances)", err)
	}
	old, watched := w.fs, w.watched
	w.fs, w.watched = f, map[string]bool{}
	for _, d := range w.dirs {
		err = errors.Join(err, w.add(d))
	}
	for _, d := range w.trees {
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
		return &TooBigError{What: "watching " + dir, Limit: maxWatches, Unit: "directories", Hint: "serve a smaller directory"}
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
		if path != root && w.skip(path) {
			return filepath.SkipDir
		}
		return w.add(path)
	})
}

func (w *watcher) below(path string) bool {
	for _, t := range w.trees {
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
			w.event("")
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
	if e.Op == fsnotify.Chmod || w.skip(e.Name) {
		return
	}
	if e.Has(fsnotify.Remove) {
		delete(w.watched, e.Name)
	}
	if e.Has(fsnotify.Rename) && w.watched[e.Name] {
		// The watches of a moved directory go on under its old name, and cannot be made again under the new one.
		_ = w.build()
		w.event("")
		w.due()
		return
	}
	if e.Has(fsnotify.Create) && w.below(e.Name) {
		if st, err := os.Lstat(e.Name); err == nil && st.IsDir() {
			// What was made in it before it was watched is seen by whoever takes the hint.
			_ = w.addTree(e.Name)
		}
	}
	w.event(e.Name)
	w.due()
}

// due sends a hint, now or when things have settled.
func (w *watcher) due() {
	if w.settle == 0 {
		w.hint()
		return
	}
	now := time.Now()
	if w.timer == nil {
		w.latest = now.Add(10 * w.settle)
	}
	w.timer = time.After(min(w.settle, w.latest.Sub(now)))
}

func (w *watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}

// poll hints after each interval.
func poll(ctx context.Context, o Options) <-chan struct{} {
	hints := make(chan struct{}, 1)
	go func() {
		defer close(hints)
		for {
			wait := o.Interval + time.Duration(o.Jitter()*float64(o.Interval)/10)
			select {
			case <-o.After(wait):
			case <-ctx.Done():
				return
			}
			select {
			case hints <- struct{}{}:
			default:
			}
		}
	}()
	return hints
}
