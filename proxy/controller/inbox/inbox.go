// Package inbox collects changes of objects until somebody takes them.
package inbox

import (
	"sync"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
)

// Inbox collects changes until they are taken, and with them up to which version of each kind all changes are in. Of several
// changes of one object only the last counts. The zero value is not usable; see New.
type Inbox struct {
	wake chan struct{} // has room for one

	mu      sync.Mutex
	changes []kube.Change
	at      map[kube.Ref]int // where in changes
	point   live.Point       // by kind
}

// New makes an empty one.
func New() *Inbox { return &Inbox{wake: make(chan struct{}, 1), at: map[kube.Ref]int{}} }

// Wake is readable when something was put in since it was read last.
func (i *Inbox) Wake() <-chan struct{} { return i.wake }

// Put adds changes that belong together: they are taken together too.
func (i *Inbox) Put(changes ...kube.Change) { i.PutUpTo(nil, changes...) }

// PutUpTo adds changes with which everything up to a point is in.
func (i *Inbox) PutUpTo(p live.Point, changes ...kube.Change) {
	i.mu.Lock()
	i.point = i.point.Join(p)
	for _, c := range changes {
		ref := kube.Ref{Kind: c.Kind, Name: c.Name}
		if n, ok := i.at[ref]; ok {
			i.changes[n] = c
			continue
		}
		i.at[ref] = len(i.changes)
		i.changes = append(i.changes, c)
	}
	i.mu.Unlock()
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// Take gives what is there, in the order in which the objects first came, and the point up to which everything was put in.
func (i *Inbox) Take() ([]kube.Change, live.Point) {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := i.changes
	i.changes = nil
	clear(i.at)
	return out, i.point
}

// PutBack returns changes that were taken, unless newer ones of the same objects came meanwhile.
func (i *Inbox) PutBack(changes []kube.Change) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, c := range changes {
		ref := kube.Ref{Kind: c.Kind, Name: c.Name}
		if _, ok := i.at[ref]; !ok {
			i.at[ref] = len(i.changes)
			i.changes = append(i.changes, c)
		}
	}
}
