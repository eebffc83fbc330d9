package controller

import (
	"sync"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
)

// inbox collects changes until the loop takes them, and with them up to which version of each kind all changes are in. Of several
// changes of one object only the last counts. The zero value is not usable; see newInbox.
type inbox struct {
	wake chan struct{} // has room for one: something is there

	mu      sync.Mutex
	changes []kube.Change
	at      map[kube.Ref]int // where in changes
	point   live.Point       // by kind
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1), at: map[kube.Ref]int{}} }

// put adds changes that belong together: they are taken together too.
func (i *inbox) put(changes ...kube.Change) { i.putUpTo(nil, changes...) }

// putUpTo adds changes with which everything up to a point is in.
func (i *inbox) putUpTo(p live.Point, changes ...kube.Change) {
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

// take gives what is there, in the order in which the objects first came, and the point up to which everything was put in.
func (i *inbox) take() ([]kube.Change, live.Point) {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := i.changes
	i.changes = nil
	clear(i.at)
	return out, i.point
}

// putBack returns changes that were taken, unless newer ones of the same objects came meanwhile.
func (i *inbox) putBack(changes []kube.Change) {
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
