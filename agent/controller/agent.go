package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"headgate.dev/agent"
	"headgate.dev/agent/apply"
	"headgate.dev/agent/controller/internal/gate"
	"headgate.dev/agent/controller/previews"
	"headgate.dev/agent/controller/pulls"
	"headgate.dev/agent/git"
	"headgate.dev/agent/plan"
	"headgate.dev/render"
	"headgate.dev/schema"
)

// Options of Add.
type Options struct {
	Log *slog.Logger
	// Cache is a directory of our own for what is fetched.
	Cache string
	// DefaultAccount is the service account of Syncs that name none. Empty: they are refused.
	DefaultAccount string
	// Workers is how many commits are rendered and applied at the same time. Zero: twice the number of processors, at least 4.
	Workers int
	// Proxies may be nil: then a commit is live when its objects are healthy.
	Proxies agent.Proxies
	// Limits bound what a commit may cost. Zero fields have the defaults of git.Limits.
	Limits git.Limits
	// HookAddress is where webhooks are taken, over plain HTTP. Empty: nowhere.
	HookAddress string
	// Traffic may be nil: then no commit is refused for what others serve.
	Traffic agent.Traffic
	// Applied are told each apply that changed something, and the first of each Sync since the start. They must not wait.
	Applied []func(agent.Applied)
	// Comment writes, in Markdown, what there is to say of a preview on its pull request. May be nil.
	Comment func(context.Context, agent.PreviewReport) (string, error)
	// Previewed are told how each preview is doing (agent.World.Previewed). They must not wait.
	Previewed []func(agent.PreviewReport)
	// Cluster is the name of the cluster in what people are told; may be empty.
	Cluster string
	// NotifyLocal lets receivers be at loopback and link-local addresses. Only for tests.
	NotifyLocal bool
	// Only are the namespaces whose Syncs are followed. Empty: all.
	Only []string
}

// Agent follows all Syncs of a cluster, while its replica leads.
type Agent struct {
	manager  manager.Manager
	client   client.Client
	log      *slog.Logger
	recorder events.EventRecorder
	statuses *Statuses
	gate     *gate.Gate
	drifts   *drifts
	previews *previews.Previews
	pulls    *pulls.All
	world    agent.World
	options  Options
	telling  chan struct{} // has room while another request to a Git host may be made

	ctx context.Context // of Start

	mu     sync.Mutex // guards what follows
	actors map[plan.Owner]*actor
	ending map[plan.Owner]<-chan struct{} // of actors that were ended, closed once they have
}

// Add adds an Agent to a manager. The manager's scheme has the kinds of schema, of Gateway API and of Kubernetes.
func Add(m manager.Manager, o Options) (*Agent, error) {
	if o.Cache == "" {
		return nil, errors.New("preparing the agent: no directory is given to fetch into")
	}
	if o.Workers == 0 {
		o.Workers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	kinds, err := apply.NewKinds(m.GetConfig())
	if err != nil {
		return nil, err
	}
	a := &Agent{
		manager: m, client: m.GetClient(), log: o.Log, options: o, recorder: m.GetEventRecorder("headgate"),
		statuses: newStatuses(m.GetClient()), actors: map[plan.Owner]*actor{}, ending: map[plan.Owner]<-chan struct{}{},
	}
	a.gate = gate.New(o.Workers, a.now)
	a.drifts = newDrifts(a)
	accounts := &accounts{
		drifts:  a.drifts,
		config:  m.GetConfig(),
		options: client.Options{Scheme: m.GetScheme(), Mapper: m.GetRESTMapper()},
		applier: apply.Config{REST: m.GetConfig(), Kinds: kinds, Exists: a.exists},
		readers: map[string]client.Reader{},
	}
	a.world = agent.World{
		Repositories:   &agent.Repositories{Options: git.Options{Cache: o.Cache}, Now: a.now},
		Account:        accounts.of,
		Worker:         a.turn,
		Proxies:        o.Proxies,
		Ready:          a.ready,
		DependsOn:      a.dependsOn,
		DefaultAccount: o.DefaultAccount,
		Limits:         o.Limits,
		Traffic:        o.Traffic,
		Applied:        a.applied,
		Previewed:      a.previewed,
		Now:            a.now,
		Log:            o.Log,
	}
	a.previews = previews.New(previews.Config{
		Manager: m, World: &a.world, Log: o.Log, Recorder: a.recorder, Production: a.production, Sync: a.get, Follows: a.follows, Patience: a.patience,
		Forget: a.gate.Forget,
	})
	a.telling = make(chan struct{}, tellers)
	a.pulls = pulls.NewAll(a.pullsConfig())
	a.world.Repositories.Options.App = appTokens
	registerMetrics(a)
	if o.HookAddress != "" {
		if err := m.Add(newHooks(a, o.HookAddress)); err != nil {
			return nil, fmt.Errorf("preparing to take webhooks: %w", err)
		}
	}
	if err := m.Add(a); err != nil {
		return nil, fmt.Errorf("preparing the agent: %w", err)
	}
	return a, nil
}

func (a *Agent) now() time.Time { return time.Now() }

func (a *Agent) jitter() float64 { return rand.Float64() }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (a *Agent) NeedLeaderElection() bool { return true }

// lookAgain is the time between two looks for the kind Sync where the API server does not serve it.
const lookAgain = 5 * time.Second

// Start implements manager.Runnable: it follows all Syncs until ctx ends.
func (a *Agent) Start(ctx context.Context) error {
	a.mu.Lock()
	a.ctx = ctx
	a.mu.Unlock()
	a.pulls.Begin(ctx)
	if !a.awaitKind(ctx) {
		return nil
	}
	// What Syncs name is watched before the first of it is read, so that no change in between is missed.
	if err := a.watchInputs(ctx); err != nil {
		return err
	}
	if err := a.watch(ctx); err != nil {
		return err
	}
	a.log.Info("following Syncs", "workers", a.options.Workers)
	a.previews.Run(ctx)
	a.mu.Lock()
	actors := a.actors
	a.actors = map[plan.Owner]*actor{}
	a.mu.Unlock()
	for _, x := range actors {
		<-x.ended
	}
	return nil
}

// awaitKind waits until the API server serves Syncs; false at the end.
func (a *Agent) awaitKind(ctx context.Context) bool {
	said := false
	for {
		_, err := a.manager.GetRESTMapper().RESTMapping(k8sschema.GroupKind{Group: schema.Group, Kind: schema.KindSync}, "v1alpha1")
		if err == nil {
			return true
		}
		if !said {
			a.log.Info("the API server does not serve Syncs: the agent waits for their definition", "missing", meta.IsNoMatchError(err))
			said = true
		}
		select { // the end; the next look
		case <-ctx.Done():
			return false
		case <-time.After(lookAgain):
		}
	}
}

// watch follows the objects that matter, and returns when it has all Syncs.
func (a *Agent) watch(ctx context.Context) error {
	informer, err := a.manager.GetCache().GetInformer(ctx, &schema.Sync{})
	if err != nil {
		return fmt.Errorf("watching Syncs: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { a.drifts.seen(o); a.seen(o); a.pulls.Seen(o) },
		UpdateFunc: func(_, o any) { a.drifts.seen(o); a.seen(o); a.pulls.Seen(o) },
		DeleteFunc: func(o any) { a.gone(o); a.drifts.gone(o); a.pulls.Gone(o) },
	})
	if err != nil {
		return fmt.Errorf("watching Syncs: %w", err)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) && ctx.Err() == nil {
		return errors.New("watching Syncs: they could not be read")
	}
	return nil
}

// seen is told a Sync as it is now.
func (a *Agent) seen(o any) {
	s, ok := o.(*schema.Sync)
	if !ok || !a.follows(s.Namespace) {
		return
	}
	owner := plan.Owner{Namespace: s.Namespace, Name: s.Name}
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.actors[owner]
	switch {
	case x == nil:
		a.actors[owner] = newActor(a, s, a.ending[owner])
	case x.uid() != s.UID: // another one of the same name
		a.end(x)
		a.actors[owner] = newActor(a, s, x.ended)
	default:
		if x.update(s) {
			a.previews.Changed(owner)
		}
	}
}

func (a *Agent) gone(o any) {
	if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	s, ok := o.(*schema.Sync)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	owner := plan.Owner{Namespace: s.Namespace, Name: s.Name}
	if x := a.actors[owner]; x != nil {
		a.end(x)
		a.retry()
	}
	a.previews.Gone(owner)
}

// end ends an actor. The lock is held.
func (a *Agent) end(x *actor) {
	x.stop()
	delete(a.actors, x.owner)
	a.ending[x.owner] = x.ended
	x.unmeasure()
	a.gate.Forget(x.owner)
	a.statuses.forget(x.owner)
}

// Enqueue has a Sync looked at for a reason; the Sync may be unknown.
func (a *Agent) Enqueue(owner plan.Owner, t agent.Trigger) {
	a.mu.Lock()
	x := a.actors[owner]
	a.mu.Unlock()
	if x != nil {
		x.leave(t)
	}
}

// release lets the Syncs go on that wait for another one.
func (a *Agent) release(owner plan.Owner) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.actors {
		if x.dependsOn(owner) {
			x.leave(agent.Trigger{At: a.now().Add(-x.interval())})
		}
	}
}

// Hear adds somebody to those who are told what each apply has written, as Options.Applied. It is for before the start.
func (a *Agent) Hear(f func(agent.Applied)) { a.options.Applied = append(a.options.Applied, f) }

func (a *Agent) applied(p agent.Applied) {
	a.previews.Changed(p.Owner)
	for _, tell := range a.options.Applied {
		tell(p)
	}
	a.retry()
}

// settled is how long after an apply what it gave up is surely known here.
const settled = time.Second

// retry has the Syncs looked at that want what another one had a moment ago: it may have let go.
func (a *Agent) retry() {
	time.AfterFunc(settled, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, x := range a.actors {
			if x.denied.Load() {
				x.leave(agent.Trigger{At: a.now().Add(-x.interval())})
			}
		}
	})
}

// HearPreviews adds somebody to those who are told how previews are doing, as Options.Previewed. It is for before the start.
func (a *Agent) HearPreviews(f func(agent.PreviewReport)) {
	a.options.Previewed = append(a.options.Previewed, f)
}

func (a *Agent) previewed(r agent.PreviewReport) {
	a.pulls.Previewed(r)
	a.drifts.previewed(r)
	for _, tell := range a.options.Previewed {
		tell(r)
	}
}

// Statuses is through which everything is written that is said in the status of a Sync.
func (a *Agent) Statuses() *Statuses { return a.statuses }

// Render renders any commit of a Sync's repository; see agent.Driver.Render.
func (a *Agent) Render(ctx context.Context, owner plan.Owner, ref git.Ref, r *render.Renderer) (agent.Rendering, error) {
	a.mu.Lock()
	x := a.actors[owner]
	a.mu.Unlock()
	if x == nil {
		return agent.Rendering{}, fmt.Errorf("rendering for %s: there is no such Sync", owner)
	}
	return x.driver.Render(ctx, ref, r)
}

// turn waits for a turn to work.
func (a *Agent) turn(ctx context.Context, owner plan.Owner) (func(), error) {
	asked := a.now()
	done, err := a.gate.Wait(ctx, owner)
	if err != nil {
		return nil, err
	}
	if waited := a.now().Sub(asked); waited > 100*time.Millisecond {
		head, since, waiting, _ := a.gate.Head()
		a.log.Debug("a Sync has waited for its turn", "sync", owner.Namespace+"/"+owner.Name, "waited", waited,
			"waiting", waiting, "head", head.Namespace+"/"+head.Name, "since", since)
	}
	return done, nil
}

// get reads a Sync from the cache; nil when there is none, or it cannot be said.
func (a *Agent) get(owner plan.Owner) (*schema.Sync, error) {
	var s schema.Sync
	err := a.client.Get(a.ctx, client.ObjectKey{Namespace: owner.Namespace, Name: owner.Name}, &s)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return &s, nil
}

// production gives what a Sync has applied last, for its previews.
func (a *Agent) production(owner plan.Owner) *agent.Production {
	a.mu.Lock()
	x := a.actors[owner]
	a.mu.Unlock()
	if x == nil {
		return nil
	}
	return x.driver.Production()
}

// exists tells whether a Sync, or a preview, is there. When that cannot be said, it is.
func (a *Agent) exists(owner plan.Owner) bool {
	if agent.IsPreviewOwner(owner) {
		return a.previews.Exists(owner)
	}
	s, err := a.get(owner)
	return s != nil || err != nil
}

// dependsOn gives the Syncs that a Sync waits for.
func (a *Agent) dependsOn(owner plan.Owner) []plan.Owner {
	s, err := a.get(owner)
	if s == nil || err != nil {
		return nil
	}
	return agent.Dependencies(s)
}

// ready tells why a Sync is not Ready; empty when it is.
func (a *Agent) ready(owner plan.Owner) string {
	s, err := a.get(owner)
	switch {
	case err != nil:
		return err.Error()
	case s == nil:
		return "there is no such Sync"
	}
	status := a.statuses.Get(a.ctx, s)
	c := meta.FindStatusCondition(status.Conditions, schema.SyncReady)
	switch {
	case c == nil || c.ObservedGeneration != s.Generation:
		return "it has not been looked at yet"
	case c.Status == "True":
		return ""
	}
	return c.Reason
}
