package agent

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"headgate.dev/agent/git"
	"headgate.dev/agent/internal/repositories"
	"headgate.dev/agent/plan"
	"headgate.dev/render"
	"headgate.dev/render/object"
)

// Production is what a Sync has applied last: what its previews are laid beside. It does not change.
type Production struct {
	// Commit is its id.
	Commit string
	Set    *object.Set
	recipe *recipe
}

// Production gives what is applied, nil until the first apply since the start. It may be called from any goroutine.
func (d *Driver) Production() *Production {
	p, r := d.production.Load(), d.shown.Load()
	if p == nil || r == nil {
		return nil
	}
	return &Production{Commit: p.Commit, Set: p.Set, recipe: r}
}

// Previews is what the previews of a process share: stores, renderers, hosts and turns. Exported fields are constant and required.
type Previews struct {
	World *World
	// Wake has a preview looked at again, because a host that it wanted has become free. It must not wait.
	Wake func(preview plan.Owner)
	// Address gives the URL of a host at a Gateway; section is a listener or empty. Nil: "http://" and the host.
	Address func(namespace, gateway, section, host string) string

	turns    chan struct{} // has room while another preview may work
	planning sync.Mutex    // held while one is planned, so that all of them together take one processor at most, and production has the others

	mu      sync.Mutex // guards what follows
	sources map[plan.Owner]*previewSource
	hosts   map[string]plan.Owner          // whose a host is
	wanted  map[string]map[plan.Owner]bool // who would have had it
}

// previewsAtOnce is how many previews render or apply at the same time. It is less than the turns there are, so that production always has some.
const previewsAtOnce = 2

// NewPreviews makes what the previews of a process share.
func NewPreviews(w *World, wake func(plan.Owner), address func(namespace, gateway, section, host string) string) *Previews {
	return &Previews{
		World: w, Wake: wake, Address: address, turns: make(chan struct{}, previewsAtOnce), sources: map[plan.Owner]*previewSource{},
		hosts: map[string]plan.Owner{}, wanted: map[string]map[plan.Owner]bool{},
	}
}

// turn waits for a turn to work: behind other previews first, then behind everybody.
func (p *Previews) turn(ctx context.Context, owner plan.Owner) (func(), error) {
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting behind other previews: %w", context.Cause(ctx))
	}
	done, err := p.World.Worker(ctx, owner)
	if err != nil {
		<-p.turns
		return nil, err
	}
	return func() { done(); <-p.turns }, nil
}

// Claim gives hosts to a preview, and what it had else to whoever waits for it. It gives those that are another preview's, with its name.
func (p *Previews) Claim(preview plan.Owner, hosts []string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for host, owner := range p.hosts {
		if owner == preview && !slices.Contains(hosts, host) {
			p.free(host)
		}
	}
	var taken map[string]string
	for _, host := range hosts {
		owner, has := p.hosts[host]
		if !has || owner == preview {
			p.hosts[host] = preview
			delete(p.wanted[host], preview)
			continue
		}
		if taken == nil {
			taken = map[string]string{}
		}
		taken[host] = owner.String()
		if p.wanted[host] == nil {
			p.wanted[host] = map[plan.Owner]bool{}
		}
		p.wanted[host][preview] = true
	}
	return taken
}

// free lets go of a host. The lock is held.
func (p *Previews) free(host string) {
	delete(p.hosts, host)
	for other := range p.wanted[host] {
		p.Wake(other)
	}
	delete(p.wanted, host)
}

// leave lets go of all that a preview has.
func (p *Previews) leave(preview plan.Owner) {
	p.Claim(preview, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	for host, others := range p.wanted {
		if delete(others, preview); len(others) == 0 {
			delete(p.wanted, host)
		}
	}
}

// previewSource is where the previews of one Sync come from: one store and two renderers, so that a preview costs what it changes.
type previewSource struct {
	users int // guarded by Previews.mu

	turn   chan struct{} // has room for whoever may touch what follows
	handle *repositories.Handle
	// own renders with the Sync's values, fork without any.
	own, fork *render.Renderer
}

// source begins to use what the previews of a Sync share.
func (p *Previews) source(sync plan.Owner) *previewSource {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sources[sync]
	if s == nil {
		s = &previewSource{turn: make(chan struct{}, 1)}
		p.sources[sync] = s
	}
	s.users++
	return s
}

// release ends the use.
func (p *Previews) release(sync plan.Owner, s *previewSource) error {
	p.mu.Lock()
	s.users--
	last := s.users == 0
	if last {
		delete(p.sources, sync)
	}
	p.mu.Unlock()
	if !last {
		return nil
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.own, s.fork = nil, nil
	if s.handle == nil {
		return nil
	}
	err := s.handle.Release()
	s.handle = nil
	return err
}

// open sees to it that the handle is that of a source. Whoever calls it has the turn.
func (s *previewSource) open(w *World, source git.Source) error {
	source.Ref = git.Ref{}
	if s.handle != nil && sameSource(s.handle.Source(), source) {
		return nil
	}
	handle, err := w.Repositories.Use(source, "previews")
	if err != nil {
		return err
	}
	if s.handle != nil {
		err = s.handle.Release()
	}
	s.handle = handle
	return err
}
