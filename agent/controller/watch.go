package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/schema"
)

// input is an object that a Sync names: its kind, namespace and name.
type input struct{ kind, namespace, name string }

// inputsOf gives what a Sync names.
func inputsOf(s *schema.Sync) []input {
	var out []input
	secret := func(ref *schema.SyncSecret) {
		if ref != nil {
			out = append(out, input{"Secret", s.Namespace, ref.Name})
		}
	}
	secret(s.Spec.SecretRef)
	if s.Spec.Proxy != nil {
		secret(s.Spec.Proxy.SecretRef)
	}
	if s.Spec.Forge != nil {
		secret(s.Spec.Forge.SecretRef)
	}
	if s.Spec.Verify != nil {
		secret(&s.Spec.Verify.SecretRef)
	}
	if s.Spec.Substitute != nil {
		for _, from := range s.Spec.Substitute.From {
			out = append(out, input{from.Kind, s.Namespace, from.Name})
		}
	}
	return out
}

// watchInputs has Syncs looked at when what they name changes. It knows that something changed, not what: that is read as their service account. Of
// Secrets and ConfigMaps only metadata is watched.
func (a *Agent) watchInputs(ctx context.Context) error {
	var synced []toolscache.InformerSynced
	for _, kind := range []string{"Secret", "ConfigMap"} {
		m := &metav1.PartialObjectMetadata{}
		m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
		has, err := a.follow(ctx, m, func(o, _ client.Object) { a.changed(input{kind, o.GetNamespace(), o.GetName()}) })
		if err != nil {
			return err
		}
		synced = append(synced, has)
	}
	has, err := a.followGateways(ctx)
	switch {
	case meta.IsNoMatchError(err):
		go a.awaitGateways(ctx)
	case err != nil:
		return err
	default:
		synced = append(synced, has)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), synced...) && ctx.Err() == nil {
		return errors.New("watching what Syncs name: it could not be read")
	}
	return nil
}

// followGateways follows the Gateways that want to be defaults.
func (a *Agent) followGateways(ctx context.Context) (toolscache.InformerSynced, error) {
	kind := k8sschema.GroupKind{Group: gwv1.GroupName, Kind: "Gateway"}
	if _, err := a.manager.GetRESTMapper().RESTMapping(kind, gwv1.GroupVersion.Version); err != nil {
		return nil, err
	}
	return a.follow(ctx, &gwv1.Gateway{}, a.gatewayChanged)
}

// awaitGateways follows Gateways once the API server has the kind.
func (a *Agent) awaitGateways(ctx context.Context) {
	for {
		select { // the end; the next look
		case <-ctx.Done():
			return
		case <-time.After(lookAgain):
		}
		_, err := a.followGateways(ctx)
		if err == nil {
			return
		}
		if !meta.IsNoMatchError(err) {
			a.log.Warn("watching Gateways", "error", err)
		}
	}
}

// gatewayChanged is told a Gateway, and the one it was before; nil where it was not, or is not any more.
func (a *Agent) gatewayChanged(now, before client.Object) {
	had, has := "", now.GetAnnotations()[defaultFor]
	if before != nil {
		had = before.GetAnnotations()[defaultFor]
	}
	if had == has && before != nil || had == "" && has == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.actors {
		if x.usesDefaultGateway() {
			x.leave(agent.Trigger{At: a.now().Add(-x.interval()), Inputs: true})
		}
	}
}

// follow tells changes of the objects of a kind; those that are there at first are none. What it gives tells when those are known.
func (a *Agent) follow(ctx context.Context, kind client.Object, tell func(now, before client.Object)) (toolscache.InformerSynced, error) {
	informer, err := a.manager.GetCache().GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watching %T: %w", kind, err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(o any, initial bool) {
			if now, ok := o.(client.Object); ok && !initial {
				tell(now, nil)
			}
		},
		UpdateFunc: func(old, o any) {
			before, _ := old.(client.Object)
			if now, ok := o.(client.Object); ok && before.GetResourceVersion() != now.GetResourceVersion() {
				tell(now, before)
			}
		},
		DeleteFunc: func(o any) {
			if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = unknown.Obj
			}
			if gone, ok := o.(client.Object); ok {
				tell(gone, nil)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watching %T: %w", kind, err)
	}
	return registration.HasSynced, nil
}

// changed has the Syncs looked at that name an object.
func (a *Agent) changed(in input) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.actors {
		if x.names(in) {
			a.log.Debug("what a Sync names has changed", "sync", x.owner.Namespace+"/"+x.owner.Name, "kind", in.kind, "name", in.name)
			a.pulls.Poll(x.owner)
			x.leave(agent.Trigger{At: a.now().Add(-x.interval()), Inputs: true})
		}
	}
}
