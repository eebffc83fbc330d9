package controller

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/controller/inbox"
	"headgate.dev/proxy/controller/queue"
	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/fleet"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/pki"
	"headgate.dev/proxy/track"
	"headgate.dev/proxy/xds"
)

// farewell is how long proxies and callers of the exchange are given when a replica ends.
const farewell = 5 * time.Second

// replica is what every replica of the controller does: it reads the cluster and serves proxies.
type replica struct {
	o         Options
	manager   manager.Manager
	book      *book
	contents  *contents
	feeds     *feeds
	authority *authority
	writer    *writer
	fleets    *fleets
	tracker   *tracker
	door      *pki.Door     // as soon as the first step is made
	loop      *loop         // likewise
	stepped   chan struct{} // closed after the first step
	serving   chan struct{} // closed when proxies can call
}

func newReplica(m manager.Manager, o Options) *replica {
	r := &replica{
		o: o, manager: m, book: newBook(), stepped: make(chan struct{}), serving: make(chan struct{}),
		contents: &contents{reader: m.GetAPIReader(), log: named(o.Log, "contents"), todo: inbox.New(), done: inbox.New()},
	}
	r.feeds = &feeds{cache: m.GetCache(), mapper: m.GetRESTMapper(), log: named(o.Log, "feeds"), seen: r.seen}
	r.authority = &authority{
		client: m.GetClient(), live: m.GetAPIReader(), now: time.Now, policy: o.Policy, log: named(o.Log, "authority"),
		name: types.NamespacedName{Namespace: o.Namespace, Name: authoritySecret},
		self: pki.Controller{Namespace: o.Namespace, Pod: o.Pod},
		lead: make(chan struct{}), first: make(chan struct{}),
	}
	r.fleets = &fleets{
		controller: o.Controller, client: m.GetClient(), live: m.GetAPIReader(), book: r.book, log: named(o.Log, "fleets"),
		settings: r.settings, known: map[types.NamespacedName]*applied{},
		queue: queue.Queue[types.NamespacedName]{Name: "fleets", Workers: 4},
	}
	r.tracker = newTracker(o.Pod, func(refs ...kube.Ref) { r.statusOf(refs) })
	r.writer = &writer{
		live:       r.tracker,
		controller: o.Controller, client: m.GetClient(), book: r.book, log: named(o.Log, "status"), now: time.Now, facts: r.fleets.facts,
		written: map[types.NamespacedName]time.Time{},
		queue:   queue.Queue[kube.Ref]{Name: "status", Workers: 4}, few: queue.Queue[kube.Ref]{Name: "status-few", Workers: 2},
	}
	r.connect()
	return r
}

// connect makes the ways between the parts.
func (r *replica) connect() {
	r.fleets.changed = r.writer.changed
	r.fleets.queue.Work, r.writer.queue.Work, r.writer.few.Work = r.fleets.reconcile, r.writer.write, r.writer.write
	r.fleets.queue.Failed = func(name types.NamespacedName, err error) {
		r.fleets.log.Warn("running the proxies of a Gateway", "gateway", name.String(), "error", err)
	}
	r.writer.queue.Failed = func(ref kube.Ref, err error) {
		r.writer.log.Warn("writing a status", "kind", ref.Kind.String(), "name", ref.Name.String(), "error", err)
	}
	r.writer.few.Failed = r.writer.queue.Failed
	r.fleets.queue.Init()
	r.writer.queue.Init()
	r.writer.few.Init()
	r.authority.changed = r.allFleets
}

// settings is what proxies must know of this controller.
func (r *replica) settings() (fleet.Controller, bool) {
	anchors, ok := r.authority.trusted()
	return fleet.Controller{
		Image: r.o.Image, Anchors: anchors, XDS: r.o.advertised(r.o.XDSAddress), Exchange: r.o.advertised(r.o.ExchangeAddress),
	}, ok
}

func (r *replica) allFleets() {
	for _, ref := range r.book.all() {
		if ref.Kind == kube.Gateway {
			r.fleets.queue.Add(ref.Name)
		}
	}
}

// seen takes a change of an object of the engine's kinds.
func (r *replica) seen(k kube.Kind, o client.Object, gone bool) {
	c := kube.Change{Kind: k, Name: client.ObjectKeyFromObject(o), Unseen: gone && o.GetResourceVersion() == ""}
	if !gone && !onDemand[k] {
		c.Object = o
	}
	// The object of a removal has the version of the removal.
	point := live.Point(nil).With(int(k), track.Version(o.GetResourceVersion()))
	if r.contents.concerns(k) {
		r.contents.todo.PutUpTo(point, c)
	} else {
		r.contents.done.PutUpTo(point, c)
	}
	if k == kube.Service || k == kube.ConfigMap {
		r.fleets.seen(k.String(), o, gone)
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica serves.
func (r *replica) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (r *replica) Start(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { r.authority.run(ctx); return nil })
	group.Go(func() error {
		err := r.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return err
	})
	return group.Wait()
}

// run reads the cluster, makes the first step with all there is, and then serves.
func (r *replica) run(ctx context.Context) error {
	start := time.Now()
	if err := r.read(ctx); err != nil {
		return err
	}
	r.contents.catchUp(ctx)
	door, err := r.authority.opened(ctx)
	if err != nil {
		return err
	}
	l := newLoop(r.contents.done, named(r.o.Log, "loop"), string(r.o.Controller))
	l.effects = r.effects
	l.xds = xds.New(xds.Options{
		Authenticate: authenticate(door), TLS: door.Mutual(),
		Observer: &observer{log: named(r.o.Log, "xds"), behind: l.behind, refused: l.refuse},
		Changed:  r.tracker.touch, Followers: followers(door, r.tracker),
	})
	r.tracker.xds, r.tracker.behind, r.tracker.pinned, r.tracker.settle = l.xds, l.behind, l.pinned, l.settle
	r.tracker.rejected = l.rejected
	l.taken, r.door, r.loop = r.tracker.taken, door, l
	if err := registerServer(l.xds); err != nil {
		r.o.Log.Debug("another server's counts are shown", "error", err)
	}
	l.next()
	close(r.stepped)
	r.o.Log.Info("the cluster is read", "took", time.Since(start).Round(time.Millisecond).String(), "image", r.o.Image)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { l.run(ctx); return nil })
	group.Go(func() error { r.tracker.run(ctx); return nil })
	group.Go(func() error { r.progress(ctx); return nil })
	group.Go(func() error { r.contents.run(ctx); return nil })
	group.Go(func() error { r.feeds.lookForMissing(ctx); return nil })
	group.Go(func() error { return r.serve(ctx, l.xds, door) })
	return group.Wait()
}

// serve answers proxies until ctx ends.
func (r *replica) serve(ctx context.Context, server *xds.Server, door *pki.Door) error {
	configuration, err := listen(ctx, r.o.XDSAddress)
	if err != nil {
		return err
	}
	certificates, err := listen(ctx, r.o.ExchangeAddress)
	if err != nil {
		configuration.Close()
		return err
	}
	exchange := r.exchange(door)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(configuration) })
	group.Go(func() error { return exchange.Serve(certificates) })
	group.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		server.Stop(end)
		return exchange.Stop(end)
	})
	close(r.serving)
	return group.Wait()
}

func (r *replica) exchange(door *pki.Door) *pki.Exchange {
	log := named(r.o.Log, "exchange")
	return pki.NewExchange(door, pki.ExchangeOptions{
		Reviewer: &reviewer{client: r.manager.GetClient()},
		Gateways: &membership{live: r.manager.GetAPIReader(), book: r.book, class: r.class},
		Issued: func(p pki.Proxy, c *x509.Certificate) {
			log.Info("certificate given", "proxy", p.String(), "until", c.NotAfter)
		},
		Refused: func(from net.Addr, err error) { log.Warn("certificate refused", "from", from.String(), "error", err) },
	})
}

// class reads the class of a Gateway.
func (r *replica) class(ctx context.Context, name types.NamespacedName) (string, error) {
	var g gwv1.Gateway
	if err := r.manager.GetClient().Get(ctx, name, &g); err != nil {
		return "", fmt.Errorf("reading Gateway %s: %w", name, err)
	}
	return string(g.Spec.GatewayClassName), nil
}

// statusOf has the status of those objects looked at that have one of ours.
func (r *replica) statusOf(refs []kube.Ref) {
	for _, ref := range refs {
		if ref.Kind == kube.Gateway || isRoute(ref.Kind) {
			r.writer.changed(ref)
		}
	}
}

// progress passes on up to where kinds were read, until ctx ends, for those of which nothing happens: what was read a second ago
// has been told.
func (r *replica) progress(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before live.Point
	var at time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for k, version := range before {
			to := r.contents.done
			if r.contents.concerns(kube.Kind(k)) {
				to = r.contents.todo
			}
			to.PutUpTo(live.Point(nil).With(k, version))
		}
		// A removal that a list told is in before the informer says how far that list was, by a moment.
		r.tracker.known(before, at.Add(-time.Second))
		before, at = r.feeds.points(), r.tracker.now()
	}
}

// effects takes what a step brought, but for what goes to proxies.
func (r *replica) effects(_ uint64, e *engine.Effects) {
	refs := r.book.note(e)
	r.writer.changed(refs...)
	for _, set := range e.Left {
		r.writer.changed(kube.Ref{Kind: kube.ListenerSet, Name: set})
	}
	for _, ref := range refs {
		if ref.Kind == kube.Gateway {
			r.fleets.queue.Add(ref.Name)
		}
	}
}

// read watches everything, and returns once it is all there.
func (r *replica) read(ctx context.Context) error {
	if err := r.feeds.start(ctx); err != nil {
		return err
	}
	var synced []toolscache.InformerSynced
	for _, o := range []client.Object{
		&appsv1.Deployment{}, metadata("v1", "ServiceAccount"),
		metadata(policyv1.SchemeGroupVersion.String(), "PodDisruptionBudget"),
		metadata(autoscalingv2.SchemeGroupVersion.String(), "HorizontalPodAutoscaler"),
	} {
		kind := o.GetObjectKind().GroupVersionKind().Kind
		if kind == "" {
			kind = "Deployment"
		}
		has, err := follow(ctx, r.manager.GetCache(), o, func(o client.Object, gone bool) {
			r.fleets.seen(kind, o, gone)
			r.podsOf(o, gone)
		})
		if err != nil {
			return err
		}
		synced = append(synced, has)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), synced...) {
		return fmt.Errorf("reading the fleets of the cluster: %w", context.Cause(ctx))
	}
	return nil
}

// podsOf keeps how many pods of a fleet are ready.
func (r *replica) podsOf(o client.Object, gone bool) {
	d, ok := o.(*appsv1.Deployment)
	if gateway := o.GetAnnotations()[fleet.GatewayAnnotation]; ok && gateway != "" {
		ready := int(d.Status.ReadyReplicas)
		if gone {
			ready = 0
		}
		r.tracker.ready(types.NamespacedName{Namespace: d.Namespace, Name: gateway}, d.Name, ready)
	}
}

func metadata(version, kind string) client.Object {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: kind}}
}

// leader is what only the leader does: it writes to the cluster.
type leader replica

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (l *leader) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (l *leader) Start(ctx context.Context) error {
	close(l.authority.lead)
	select {
	case <-ctx.Done():
		return nil
	case <-l.stepped:
	}
	l.o.Log.Info("leading")
	l.writer.queue.Lead()
	l.writer.few.Lead()
	l.fleets.queue.Lead()
	l.writer.changed(l.book.all()...)
	(*replica)(l).allFleets()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { l.writer.queue.Run(ctx); return nil })
	group.Go(func() error { l.writer.few.Run(ctx); return nil })
	group.Go(func() error { l.fleets.queue.Run(ctx); return nil })
	group.Go(func() error { l.tracker.lead(ctx); return nil })
	group.Go(func() error {
		p := &peers{
			client: l.manager.GetClient(), namespace: l.o.Namespace, name: l.o.Service, self: l.o.Pod, port: portNumber(l.o.XDSAddress),
			door: l.door, tracker: l.tracker, log: named(l.o.Log, "peers"),
		}
		p.run(ctx)
		return nil
	})
	group.Go(func() error { return l.leftovers(ctx) })
	return group.Wait()
}

// leftovers has the status looked at of routes that we wrote before, and that have nothing to do with us any more: the steps of this
// process know nothing of them. The same for Gateways that we ran.
func (l *leader) leftovers(ctx context.Context) error {
	var refs []kube.Ref
	for _, k := range kube.RouteKinds {
		if !l.feeds.served(k) {
			continue
		}
		informer, err := l.manager.GetCache().GetInformer(ctx, kube.New(k))
		if err != nil {
			return fmt.Errorf("reading the routes of kind %s: %w", k, err)
		}
		if s, ok := informer.(toolscache.SharedIndexInformer); ok {
			refs = append(refs, l.ownRoutes(k, s.GetStore().List())...)
		}
	}
	l.writer.changed(refs...)
	var deployments appsv1.DeploymentList
	if err := l.manager.GetClient().List(ctx, &deployments); err != nil {
		return fmt.Errorf("listing the fleets: %w", err)
	}
	for i := range deployments.Items {
		l.fleets.seen("Deployment", &deployments.Items[i], false)
	}
	return nil
}

func (l *leader) ownRoutes(k kube.Kind, objects []any) []kube.Ref {
	var refs []kube.Ref
	for _, o := range objects {
		if route, ok := o.(client.Object); ok && hasEntry(routeStatus(route), l.o.Controller) {
			refs = append(refs, kube.Ref{Kind: k, Name: client.ObjectKeyFromObject(route)})
		}
	}
	return refs
}
