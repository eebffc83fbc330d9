package controller

import (
	"context"
	"slices"
	"time"

	"headgate.dev/agent/drift"
	"headgate.dev/agent/pace"
	"headgate.dev/render/object"
)

// watch sees to it that there is a watch for each kind that the Sync has, in each namespace, and for no other.
func (f *follower) watch() {
	wanted := map[kindKey]bool{}
	for o := range f.set.All() {
		wanted[keyOf(o)] = true
	}
	for key, stop := range f.watches {
		if !wanted[key] {
			stop()
			delete(f.watches, key)
		}
	}
	if len(f.watches) == 0 {
		f.listed = f.now()
	}
	for key := range wanted {
		if f.watches[key] == nil {
			f.begins(key)
		}
	}
}

// rewatch begins all watches anew, and so lists everything.
func (f *follower) rewatch() {
	f.listed = f.now()
	for key, stop := range f.watches {
		stop()
		delete(f.watches, key)
	}
	f.watch()
}

func (f *follower) begins(key kindKey) {
	ctx, stop := context.WithCancel(f.ctx)
	f.watches[key] = stop
	account := f.account
	go func() {
		id := object.ID{Group: key.group, Kind: key.kind, Namespace: key.namespace}
		for failures := 1; ; failures++ {
			err := account.Watch(ctx, id, key.version, &watcher{f: f, key: key})
			if ctx.Err() != nil {
				return
			}
			f.log.Warn("watching what the Sync owns", "kind", key.kind, "namespace", key.namespace, "error", err)
			// The kind may be gone, and with it its objects; or the account may not watch. Then each object is looked at, now and at each try.
			f.do(func() { f.lookAll(key, nil) })
			select { // the end; the next try
			case <-ctx.Done():
				return
			case <-time.After(pace.Backoff(failures, time.Minute, f.drifts.agent.jitter())):
			}
		}
	}()
}

// lookAll reads all objects of a kind that were not listed.
func (f *follower) lookAll(key kindKey, listed map[object.ID]bool) {
	if f.set == nil || !f.closed.IsZero() {
		return
	}
	for o := range f.set.All() {
		if keyOf(o) == key && !listed[o.ID] {
			f.look(o.ID)
		}
	}
}

// watcher hands what happens to the follower. Secrets are hashed here.
type watcher struct {
	f   *follower
	key kindKey
}

// Listed implements apply.Watcher.
func (w *watcher) Listed(contents []map[string]any) {
	hidden := make([]map[string]any, len(contents))
	for i, c := range contents {
		hidden[i] = drift.Hide(c, w.f.drifts.key)
	}
	w.f.do(func() {
		listed := map[object.ID]bool{}
		for _, c := range hidden {
			listed[drift.IDOf(c)] = true
			w.f.effects(w.f.state.Seen(w.f.now(), c))
		}
		w.f.lookAll(w.key, listed)
	})
}

// Happened implements apply.Watcher.
func (w *watcher) Happened(content map[string]any) {
	hidden := drift.Hide(content, w.f.drifts.key)
	w.f.do(func() {
		before := len(w.f.state.Open())
		w.f.effects(w.f.state.Seen(w.f.now(), hidden))
		if open := w.f.state.Open(); len(open) > before {
			w.f.measureDetection(open)
		}
	})
}

// Left implements apply.Watcher.
func (w *watcher) Left(id object.ID) {
	w.f.do(func() {
		if slices.ContainsFunc(w.f.state.Owned(), func(o object.ID) bool { return o == id }) {
			w.f.look(id)
		}
	})
}
