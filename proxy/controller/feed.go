package controller

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/proxy/fleet"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/track"
)

// lookAgain is the time between two looks for kinds that the API server does not serve.
const lookAgain = 5 * time.Second

// onDemand are the kinds of which only metadata is watched.
var onDemand = map[kube.Kind]bool{kube.Secret: true, kube.ConfigMap: true}

// feeds watches every kind the engine knows. Kinds that the API server does not serve are none of its objects; they are
// looked for again and again.
type feeds struct {
	cache  cache.Cache
	mapper meta.RESTMapper
	log    *slog.Logger
	// seen is told each object that appeared or changed, and, with gone, each that is no more, as of which version; without one
	// where only a later list told that. Of kinds that are read on demand the object has only metadata.
	seen func(k kube.Kind, o client.Object, gone bool)

	mu        sync.Mutex // guards what follows
	missing   map[kube.Kind]bool
	informers [kube.NumKinds]toolscache.SharedIndexInformer // those that watch; nil where the kind is missing
}

// start watches all kinds that are there, and returns once they have brought everything.
func (f *feeds) start(ctx context.Context) error {
	var synced []toolscache.InformerSynced
	missing := map[kube.Kind]bool{}
	for k := range kube.NumKinds {
		has, err := f.watch(ctx, k)
		if err != nil {
			return err
		}
		if has == nil {
			missing[k] = true
			f.log.Info("kind is not served by the API server", "kind", k.String(), "group", k.Group())
			continue
		}
		synced = append(synced, has)
	}
	f.mu.Lock()
	f.missing = missing
	f.mu.Unlock()
	if !toolscache.WaitForCacheSync(ctx.Done(), synced...) {
		return fmt.Errorf("reading the objects of the cluster: %w", context.Cause(ctx))
	}
	return nil
}

// served tells whether the API server serves a kind.
func (f *feeds) served(k kube.Kind) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.missing != nil && !f.missing[k]
}

// lookForMissing watches kinds that appear later, until ctx ends.
func (f *feeds) lookForMissing(ctx context.Context) {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for k := range kube.NumKinds {
			if f.served(k) {
				continue
			}
			has, err := f.watch(ctx, k)
			if err != nil {
				f.log.Warn("watching a kind that appeared", "kind", k.String(), "error", err)
			}
			if has != nil {
				f.mu.Lock()
				delete(f.missing, k)
				f.mu.Unlock()
				f.log.Info("kind appeared", "kind", k.String())
			}
		}
	}
}

// watch begins to watch a kind; it returns nil for one that the API server does not serve.
func (f *feeds) watch(ctx context.Context, k kube.Kind) (toolscache.InformerSynced, error) {
	gvk := schema.GroupVersionKind{Group: k.Group(), Version: k.Version(), Kind: k.String()}
	switch _, err := f.mapper.RESTMapping(gvk.GroupKind(), gvk.Version); {
	case meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("asking the API server for kind %s: %w", k, err)
	}
	watched := client.Object(kube.New(k))
	if onDemand[k] {
		m := &metav1.PartialObjectMetadata{}
		m.SetGroupVersionKind(gvk)
		watched = m
	}
	informer, err := f.cache.GetInformer(ctx, watched, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", k, err)
	}
	if shared, ok := informer.(toolscache.SharedIndexInformer); ok {
		f.mu.Lock()
		f.informers[k] = shared
		f.mu.Unlock()
	}
	return follow(ctx, f.cache, watched, func(o client.Object, gone bool) { f.seen(k, o, gone) })
}

// points gives up to which version each kind was read, though perhaps not yet told.
func (f *feeds) points() live.Point {
	f.mu.Lock()
	informers := f.informers
	f.mu.Unlock()
	out := make(live.Point, kube.NumKinds)
	for k, informer := range informers {
		if informer != nil {
			out[k] = track.Version(informer.LastSyncResourceVersion())
		}
	}
	return out
}

// follow has seen told everything about the objects of a kind. What it returns tells when everything there is has been told.
func follow(ctx context.Context, c cache.Cache, kind client.Object, seen func(o client.Object, gone bool)) (toolscache.InformerSynced, error) {
	informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watching %T: %w", kind, err)
	}
	registration, err := informer.AddEventHandler(handler(seen))
	if err != nil {
		return nil, fmt.Errorf("watching %T: %w", kind, err)
	}
	return registration.HasSynced, nil
}

// handler has seen told what an informer tells.
func handler(seen func(o client.Object, gone bool)) toolscache.ResourceEventHandler {
	tell := func(o any, gone bool) {
		if c, ok := o.(client.Object); ok {
			seen(c, gone)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { tell(o, false) },
		UpdateFunc: func(_, o any) { tell(o, false) },
		DeleteFunc: func(o any) {
			if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				// The object is as it was seen last, and was removed later than that.
				if c, ok := unknown.Obj.(client.Object); ok {
					c = c.DeepCopyObject().(client.Object)
					c.SetResourceVersion("")
					o = c
				}
			}
			tell(o, true)
		},
	}
}

// lastApplied is where kubectl keeps the whole object once more.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// strip drops what nothing reads, before an object is kept. Of kinds of which metadata alone is watched, and there are many, that is all but which object
// it is and its version, unless it is a fleet's.
func strip(o any) (any, error) {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && m.Annotations[fleet.GatewayAnnotation] == "" {
		m.Labels, m.Annotations, m.OwnerReferences, m.Finalizers = nil, nil, nil, nil
	}
	if m, ok := o.(metav1.Object); ok {
		m.SetManagedFields(nil)
		delete(m.GetAnnotations(), lastApplied)
	}
	return o, nil
}
