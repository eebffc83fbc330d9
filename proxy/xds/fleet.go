package xds

import (
	"cmp"
	"context"
	"sync"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/live"
)

// fleet is the proxies that get the same configuration.
type fleet struct {
	options Options
	ctx     context.Context // ends the streams, with its cause
	end     context.CancelCauseFunc
	loaded  chan struct{} // closed by the first publication

	mu      sync.Mutex // guards all below, and the session of every stream
	state   *state
	live    *live.Fleet[envoy.Key]
	streams map[string]*stream // by proxy
	away    map[string]*time.Timer
	// changed is closed and made anew when live may have changed, if anybody waits for it.
	changed chan struct{}
	waited  bool
	first   sync.Once
}

func newFleet(ctx context.Context, o Options) *fleet {
	f := &fleet{
		options: o, loaded: make(chan struct{}),
		state: newState(), live: live.NewFleet(compareKeys),
		streams: map[string]*stream{}, away: map[string]*time.Timer{}, changed: make(chan struct{}),
	}
	f.ctx, f.end = context.WithCancelCause(ctx)
	return f
}

func compareKeys(a, b envoy.Key) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
}

func (f *fleet) publish(epoch uint64, changes []Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.epoch = epoch
	changed, owed := make([]envoy.Key, 0, len(changes)), make([]envoy.Key, 0, len(changes))
	for _, c := range changes {
		if !f.state.apply(c) {
			continue
		}
		changed = append(changed, c.Key)
		// Clusters, endpoints and secrets stay for a while or for Envoy to drop: nobody waits for that.
		if c.Body != nil || c.Type == envoy.ListenerType || c.Type == envoy.ScopeType || c.Type == envoy.RouteType {
			owed = append(owed, c.Key)
		}
	}
	f.live.Publish(epoch, owed)
	if len(changed) > 0 {
		for _, st := range f.streams {
			st.enqueue(changed)
		}
	}
	f.first.Do(func() { close(f.loaded) })
	f.notify()
}

func (f *fleet) status(epoch uint64) Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Status{Status: f.live.Status(epoch), Refused: f.live.Refused(epoch)}
}

// changes returns a channel that is closed at the next change of what status says.
func (f *fleet) changes() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waited = true
	return f.changed
}

// notify wakes who waits for changes. The lock is held.
func (f *fleet) notify() {
	if f.waited {
		close(f.changed)
		f.changed, f.waited = make(chan struct{}), false
	}
}

// attach makes st the stream of its proxy and ends an earlier one. The lock is held.
func (f *fleet) attach(st *stream) {
	if old := f.streams[st.id.Proxy]; old != nil {
		old.end(errReplaced)
	}
	if t := f.away[st.id.Proxy]; t != nil {
		t.Stop()
		delete(f.away, st.id.Proxy)
	}
	f.streams[st.id.Proxy] = st
}

// detach ends a stream; its proxy is away for a while. A stream that was replaced is detached already.
func (f *fleet) detach(st *stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	proxy := st.id.Proxy
	if f.streams[proxy] != st {
		return
	}
	delete(f.streams, proxy)
	f.live.Disconnect(proxy)
	f.notify()
	var t *time.Timer
	t = time.AfterFunc(f.options.ForgetAfter, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.away[proxy] == t {
			delete(f.away, proxy)
			f.live.Forget(proxy)
			f.notify()
		}
	})
	f.away[proxy] = t
}

func (f *fleet) stopTimers() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for proxy, t := range f.away {
		t.Stop()
		delete(f.away, proxy)
	}
}

func (f *fleet) drop() {
	f.end(errGone)
	f.stopTimers()
}
