package previews

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"headgate.dev/agent"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

// Config is what Previews are made from. Every field is required.
type Config struct {
	Manager  manager.Manager
	World    *agent.World
	Log      *slog.Logger
	Recorder events.EventRecorder
	// Production gives what a Sync has applied last, nil where that is not known. It is called from several goroutines.
	Production func(sync plan.Owner) *agent.Production
	// Sync gives a Sync, nil where there is none.
	Sync func(sync plan.Owner) (*schema.Sync, error)
	// Follows tells whether the objects of a namespace are this agent's.
	Follows func(namespace string) bool
	// Forget is told the owner of what a preview that is no more was made of.
	Forget func(preview plan.Owner)
	// Patience is how long is waited for what cannot be removed of a namespace, at most.
	Patience func(ctx context.Context, namespace string) time.Duration
}

// Previews makes all previews of a cluster, while its replica leads.
type Previews struct {
	config Config // constant
	client client.Client
	shared *agent.Previews
	ready  chan struct{} // closed once all Previews are known

	mu     sync.Mutex // guards what follows
	ctx    context.Context
	known  bool
	actors map[plan.Owner]*actor // by the owner of what they are made of
	ending map[plan.Owner]<-chan struct{}
}

// New makes Previews. It makes no call.
func New(c Config) *Previews {
	p := &Previews{
		config: c, client: c.Manager.GetClient(), ready: make(chan struct{}), actors: map[plan.Owner]*actor{}, ending: map[plan.Owner]<-chan struct{}{},
	}
	p.shared = agent.NewPreviews(c.World, p.wake, p.address)
	registerMetrics(p)
	return p
}

// lookAgain is the time between two looks for the kind Preview where the API server does not serve it.
const lookAgain = 5 * time.Second

// Run makes the previews until ctx ends. It begins once the Syncs are known.
func (p *Previews) Run(ctx context.Context) {
	p.mu.Lock()
	p.ctx = ctx
	p.mu.Unlock()
	for {
		err := p.watch(ctx)
		if err == nil {
			break
		}
		p.config.Log.Debug("previews are not made yet", "error", err)
		select { // the end; the next look
		case <-ctx.Done():
			return
		case <-time.After(lookAgain):
		}
	}
	<-ctx.Done()
	p.mu.Lock()
	actors := p.actors
	p.actors = map[plan.Owner]*actor{}
	p.mu.Unlock()
	for _, x := range actors {
		<-x.ended
	}
}

// watch follows the Previews, and returns when all are known.
func (p *Previews) watch(ctx context.Context) error {
	kind := k8sschema.GroupKind{Group: schema.Group, Kind: schema.KindPreview}
	if _, err := p.config.Manager.GetRESTMapper().RESTMapping(kind, "v1alpha1"); err != nil {
		return err
	}
	informer, err := p.config.Manager.GetCache().GetInformer(ctx, &schema.Preview{})
	if err != nil {
		return fmt.Errorf("watching Previews: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: p.seen, UpdateFunc: func(_, o any) { p.seen(o) }, DeleteFunc: p.gone,
	})
	if err != nil {
		return fmt.Errorf("watching Previews: %w", err)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) && ctx.Err() == nil {
		return errors.Join(errors.New("watching Previews: they could not be read"), informer.RemoveEventHandler(registration))
	}
	p.mu.Lock()
	p.known = true
	p.mu.Unlock()
	close(p.ready)
	return nil
}

func ownerOf(o *schema.Preview) plan.Owner { return agent.PreviewOwner(o.Namespace, o.Name) }

// seen is told a Preview as it is now.
func (p *Previews) seen(o any) {
	now, ok := o.(*schema.Preview)
	if !ok || !p.config.Follows(now.Namespace) {
		return
	}
	owner := ownerOf(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.actors[owner]
	switch {
	case x == nil:
		p.actors[owner] = newActor(p, now, p.ending[owner])
	case x.uid() != now.UID: // another one of the same name
		p.end(x)
		p.actors[owner] = newActor(p, now, x.ended)
	default:
		x.update(now)
	}
}

func (p *Previews) gone(o any) {
	if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	was, ok := o.(*schema.Preview)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.actors[ownerOf(was)]; x != nil {
		p.end(x)
	}
}

// end ends an actor. The lock is held.
func (p *Previews) end(x *actor) {
	x.stop()
	delete(p.actors, x.owner)
	p.config.Forget(x.owner)
	p.ending[x.owner] = x.ended
	go func() {
		<-x.ended
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ending[x.owner] == (<-chan struct{})(x.ended) {
			delete(p.ending, x.owner)
		}
	}()
}

// wake has a preview looked at.
func (p *Previews) wake(owner plan.Owner) {
	go func() { // whoever calls may hold what seen needs
		p.mu.Lock()
		x := p.actors[owner]
		p.mu.Unlock()
		if x != nil {
			x.leave()
		}
	}()
}

// Changed has the previews of a Sync looked at: it, or what it has applied, is not what it was.
func (p *Previews) Changed(sync plan.Owner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.actors {
		if x.of == sync {
			x.leave()
		}
	}
}

// Gone is told a Sync that is no more.
func (p *Previews) Gone(sync plan.Owner) {
	liveSeconds.DeleteLabelValues(sync.Namespace, sync.Name)
	p.Changed(sync)
}

// Exists tells whether there is a preview that is called so as an owner. As long as they are not known, there is.
func (p *Previews) Exists(owner plan.Owner) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.known || p.actors[owner] != nil
}

// count gives the number of previews of each Sync.
func (p *Previews) count() map[plan.Owner]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[plan.Owner]int{}
	for _, x := range p.actors {
		out[x.of]++
	}
	return out
}
