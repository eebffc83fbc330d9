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
	name    string
	options Options
	ctx     context.Context // ends the streams, with its cause
	end     context.CancelCauseFunc
	loaded  chan struct{} // closed by the first publication

	mu      sync.Mutex // guards all below, and the session of every stream
	state   *state
	live    *live.Fleet[envoy.Key]
	streams map[string]*stream // by proxy
	away    map[string]*absence
	// changed is closed and made anew when live may have changed, if anybody waits for it.
	changed chan struct{}
	waited  bool
	first   sync.Once
}

func newFleet(ctx context.Context, name string, o Options) *fleet {
	f := &fleet{
		name: name, options: o, loaded: make(chan struct{}),
		state: newState(), live: live.NewFleet(compareKeys),
		streams: map[string]*stream{}, away: map[string]*absence{}, changed: make(chan struct{}),
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
	changed, owed := f.state.publish(epoch, changes)
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

func (f *fleet) states() []State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live.States()
}

// notify wakes who waits for changes. The lock is held.
func (f *fleet) notify() {
	f.options.Changed(f.name)
	if f.waited {
		close(f.changed)
		f.changed, f.waited = make(chan struct{}), false
	}
}

// attach makes st the stream of its proxy and ends an earlier one. It returns the clusters that an earlier stream left
// unsettled. The lock is held.
func (f *fleet) attach(st *stream) (unsettled []string) {
	proxy := st.id.Proxy
	if old := f.streams[proxy]; old != nil {
		old.end(errReplaced)
		unsettled = old.session.unsettled()
	}
	if a, ok := f.away[proxy]; ok {
		a.forget.Stop()
		delete(f.away, proxy)
		unsettled = a.unsettled
	}
	f.streams[proxy] = st
	return unsettled
}

// detach ends a stream; its proxy is away for a while. A stream that was replaced, or never began, is not attached.
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
	a := &absence{unsettled: st.session.unsettled()}
	a.forget = time.AfterFunc(f.options.ForgetAfter, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.away[proxy] == a {
			delete(f.away, proxy)
			f.live.Forget(proxy)
			f.notify()
		}
	})
	f.away[proxy] = a
}

// absence is a proxy whose stream broke.
type absence struct {
	forget    *time.Timer
	unsettled []string // clusters, see session
}

func (f *fleet) stopTimers() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for proxy, a := range f.away {
		a.forget.Stop()
		delete(f.away, proxy)
	}
}

func (f *fleet) drop() {
	f.end(errGone)
	f.stopTimers()
}
