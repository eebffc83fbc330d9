// Package live answers which epochs are live on which proxies. It is pure: it is told what was published, sent and
// answered, and keeps no clock and no channel.
//
// An epoch is a step of the engine: a number that grows with each. A proxy owes an answer for every write and removal of
// every epoch published while it is connected, and for everything that existed when it connected (its first set).
// An epoch is live on a proxy when nothing up to it is owed and nothing up to it was refused. A proxy is ready once its
// first set is answered. It stays ready, and counts, while it is away (its stream is broken, it serves what it has)
// until it is forgotten.
//
// A refused key is not owed any more (waiting for it would never end) and not live either: the two are told apart by
// Status. A later answer for a newer state of the key takes the refusal back.
package live

import (
	"maps"
	"slices"
	"strings"
)

// Status is where one epoch stands in one fleet. Total = Acked + Pending + those in Refused alone.
type Status struct {
	// Acked is the number of ready proxies on which the epoch is live.
	Acked int
	// Pending is the number of ready proxies that still owe answers up to the epoch, refusals or not.
	Pending int
	// Total is the number of ready proxies, those that are away included.
	Total int
	// Connected is the number of proxies with a stream, ready or not.
	Connected int
}

// Live tells whether every ready proxy, and at least one, has the epoch.
func (s Status) Live() bool { return s.Total > 0 && s.Acked == s.Total }

// Settled tells whether every ready proxy, and at least one, has answered: nothing will change without a new
// publication, connection or disconnection. What is settled but not live was refused somewhere.
func (s Status) Settled() bool { return s.Total > 0 && s.Pending == 0 }

// Refusal is a key that a proxy refused and the newest epoch whose state of the key it refused.
type Refusal[K any] struct {
	Proxy   string
	Key     K
	Epoch   uint64
	Message string
}

// Fleet tracks the proxies that get the same configuration. Not safe for concurrent use.
type Fleet[K comparable] struct {
	compare func(a, b K) int
	epoch   uint64
	proxies map[string]*proxy[K]
}

// NewFleet makes a fleet without proxies. The order of refusals follows compare.
func NewFleet[K comparable](compare func(a, b K) int) *Fleet[K] {
	return &Fleet[K]{compare: compare, proxies: map[string]*proxy[K]{}}
}

// Epoch is the newest published epoch, 0 before the first.
func (f *Fleet[K]) Epoch() uint64 { return f.epoch }

// Publish records that epoch changed keys: every connected proxy owes an answer for each. Epochs must not decrease.
// Proxies that are away owe nothing by it, but cannot have it: see Connect.
func (f *Fleet[K]) Publish(epoch uint64, keys []K) {
	f.epoch = epoch
	for _, p := range f.proxies {
		if p.away {
			continue
		}
		for _, k := range keys {
			p.owe(k, epoch)
		}
	}
}

// Connect records a new stream of a proxy, which owes an answer for each of keys: its first set, all there is. A proxy
// that resumes (it was told of before and kept its configuration) stays ready if it was; any other is not ready.
func (f *Fleet[K]) Connect(name string, keys []K, resumes bool) {
	ready, since := false, f.epoch
	old := f.proxies[name]
	if old != nil {
		ready = old.ready && resumes
		since = min(since, old.reach(f.epoch)+1) // what came while it was away it cannot have
	}
	p := &proxy[K]{ready: ready, owed: make(map[K]epochs, len(keys)), refused: map[K]refusal{}}
	f.proxies[name] = p
	for _, k := range keys {
		p.owe(k, since)
		if r, ok := old.refusal(k); ok && ready {
			p.refused[k] = r // until it answers
		}
	}
	p.settle()
}

// Owe makes one more key part of what a connected proxy owes, as of the newest epoch.
func (f *Fleet[K]) Owe(name string, key K) {
	if p := f.proxies[name]; p != nil && !p.away {
		p.owe(key, f.epoch)
	}
}

// Ack records that a proxy has the state key had at epoch upto, or does not want it.
func (f *Fleet[K]) Ack(name string, key K, upto uint64) {
	p := f.proxies[name]
	if p == nil || p.away {
		return
	}
	p.answer(key, upto)
	if r, ok := p.refused[key]; ok && r.epoch <= upto {
		delete(p.refused, key)
	}
	p.settle()
}

// Nack records that a proxy refused the state key had at epoch upto, with its words.
func (f *Fleet[K]) Nack(name string, key K, upto uint64, message string) {
	p := f.proxies[name]
	if p == nil || p.away {
		return
	}
	// Refused from the oldest owed epoch on: that epoch never became live either.
	since := upto
	if owed, ok := p.owed[key]; ok {
		since = min(since, owed.since)
	}
	if r, ok := p.refused[key]; ok {
		since = min(since, r.since)
	}
	p.answer(key, upto)
	p.refused[key] = refusal{since: since, epoch: upto, message: message}
	p.settle()
}

// Disconnect records that the stream of a proxy broke: it is away if it was ready, else forgotten.
func (f *Fleet[K]) Disconnect(name string) {
	p := f.proxies[name]
	if p == nil {
		return
	}
	if !p.ready {
		delete(f.proxies, name)
		return
	}
	// What it has now is all it can have until it comes back.
	*p = proxy[K]{ready: true, away: true, reached: p.reach(f.epoch), refused: p.refused}
}

// Forget drops a proxy that is away; one that is connected stays.
func (f *Fleet[K]) Forget(name string) {
	if p := f.proxies[name]; p != nil && p.away {
		delete(f.proxies, name)
	}
}

// Ready tells whether a proxy has answered its full first set.
func (f *Fleet[K]) Ready(name string) bool {
	p := f.proxies[name]
	return p != nil && p.ready
}

// Owed lists the keys a proxy owes an answer for, in order: what is waited for.
func (f *Fleet[K]) Owed(name string) []K {
	p := f.proxies[name]
	if p == nil {
		return nil
	}
	return slices.SortedFunc(maps.Keys(p.owed), f.compare)
}

// State is how far one proxy is.
type State[K any] struct {
	Name             string
	Ready, Connected bool
	// Owes: it has not answered everything, but all up to the epoch Reached.
	Owes    bool
	Reached uint64
	Refused []Refusal[K] // by key
}

// States lists the proxies, by name.
func (f *Fleet[K]) States() []State[K] {
	out := make([]State[K], 0, len(f.proxies))
	for _, name := range slices.Sorted(maps.Keys(f.proxies)) {
		p := f.proxies[name]
		s := State[K]{Name: name, Ready: p.ready, Connected: !p.away, Reached: p.reach(f.epoch)}
		s.Owes = s.Reached < f.epoch || len(p.owed) > 0
		for k, r := range p.refused {
			s.Refused = append(s.Refused, Refusal[K]{Proxy: name, Key: k, Epoch: r.epoch, Message: r.message})
		}
		slices.SortFunc(s.Refused, func(a, b Refusal[K]) int { return f.compare(a.Key, b.Key) })
		out = append(out, s)
	}
	return out
}

// Refuses tells whether a proxy refuses any key of some kind.
func (f *Fleet[K]) Refuses(name string, kind func(K) bool) bool {
	p := f.proxies[name]
	if p == nil {
		return false
	}
	for k := range p.refused {
		if kind(k) {
			return true
		}
	}
	return false
}

// Status counts the ready proxies by how far they are. An epoch that was not published yet is live nowhere.
func (f *Fleet[K]) Status(epoch uint64) Status {
	var s Status
	for _, p := range f.proxies {
		if !p.away {
			s.Connected++
		}
		if !p.ready {
			continue
		}
		s.Total++
		switch {
		case epoch > f.epoch || p.pending(epoch):
			s.Pending++
		case !p.refuses(epoch):
			s.Acked++
		}
	}
	return s
}

// Refused lists what connected or awaited proxies refuse up to an epoch, ordered by key, then proxy.
func (f *Fleet[K]) Refused(epoch uint64) []Refusal[K] {
	var all []Refusal[K]
	for name, p := range f.proxies {
		for k, r := range p.refused {
			if r.since <= epoch {
				all = append(all, Refusal[K]{Proxy: name, Key: k, Epoch: r.epoch, Message: r.message})
			}
		}
	}
	slices.SortFunc(all, func(a, b Refusal[K]) int {
		if c := f.compare(a.Key, b.Key); c != 0 {
			return c
		}
		return strings.Compare(a.Proxy, b.Proxy)
	})
	return all
}
