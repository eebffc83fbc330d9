package controller

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/controller/queue"
	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/fleet"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/schema"
)

// fleets keeps the objects that run the proxies of our Gateways as they should be.
type fleets struct {
	controller gwv1.GatewayController
	client     client.Client // reads from the cache
	live       client.Reader // reads from the API server
	book       *book
	log        *slog.Logger
	// settings is what proxies must know of the controller; ok is false as long as it is not known.
	settings func() (c fleet.Controller, ok bool)
	// changed has the status of a Gateway looked at.
	changed func(...kube.Ref)
	queue   queue.Queue[types.NamespacedName]

	mu    sync.Mutex // guards known
	known map[types.NamespacedName]*applied
}

// applied is what was brought to the API server for one Gateway. Only the worker that has the Gateway, and forget, use it.
type applied struct {
	gateway types.UID
	digests map[objectKey][sha256.Size]byte
	// versions are those that objects had after they were applied, by kind and name, as versionOf gives them.
	versions map[[2]string]string
	clean    bool // what is unwanted is gone
	problem  string
}

// objectKey names an object as one field manager applies it.
type objectKey struct{ manager, kind, name string }

// reconcile brings the fleet of a Gateway to what it should be.
func (f *fleets) reconcile(ctx context.Context, name types.NamespacedName) (time.Duration, error) {
	var g gwv1.Gateway
	if err := f.client.Get(ctx, name, &g); err != nil {
		f.forget(name)
		return 0, client.IgnoreNotFound(err) // the fleet goes with its owner
	}
	if g.DeletionTimestamp != nil {
		return 0, nil
	}
	state, ours := f.book.gateway(name)
	if !ours {
		return 0, f.leave(ctx, &g)
	}
	err := f.bring(ctx, &g, &state)
	if err != nil && f.goes(ctx, name) {
		return 0, nil
	}
	f.problem(name, err)
	return 0, err
}

// goes tells whether a Gateway is gone by now, or about to go: what it had vanishes under whoever applies it.
func (f *fleets) goes(ctx context.Context, name types.NamespacedName) bool {
	var g gwv1.Gateway
	err := f.live.Get(ctx, name, &g)
	return apierrors.IsNotFound(err) || err == nil && g.DeletionTimestamp != nil
}

// bring applies what is not as it was applied last.
func (f *fleets) bring(ctx context.Context, g *gwv1.Gateway, state *engine.GatewayState) error {
	settings, ok := f.settings()
	if !ok {
		return nil // every fleet is looked at again when it is
	}
	config, ok, err := f.config(ctx, g)
	if err != nil || !ok {
		return err
	}
	in := fleet.Input{Gateway: fleet.GatewayOf(g), Config: config, Controller: settings}
	for _, l := range state.Result.Sockets {
		in.Sockets = append(in.Sockets, l.ID())
	}
	deployment, err := f.deployment(ctx, g)
	if err != nil {
		return err
	}
	in.Running = fleet.RunningOf(deployment)
	a := f.of(g)
	for _, o := range fleet.Objects(in) {
		if err := f.apply(ctx, a, g.UID, o); err != nil {
			return err
		}
	}
	return f.clean(ctx, a, g, in)
}

// clean removes what is not part of the fleet any more.
func (f *fleets) clean(ctx context.Context, a *applied, g *gwv1.Gateway, in fleet.Input) error {
	unwanted := fleet.Unwanted(in)
	if len(unwanted) == 0 {
		a.clean = false
		return nil
	}
	if a.clean {
		return nil
	}
	for _, r := range unwanted {
		if err := f.remove(ctx, r, g.UID); err != nil {
			return err
		}
	}
	if err := f.takeDown(ctx, g, fleet.Name(g.Name, string(g.Spec.GatewayClassName))); err != nil {
		return err
	}
	a.clean = true
	return nil
}

// config gives what the ProxyConfigs of the Gateway and its class say together; ok is false when one of them is missing: then
// everything stays as it is.
func (f *fleets) config(ctx context.Context, g *gwv1.Gateway) (out schema.ProxyConfigSpec, ok bool, err error) {
	var class gwv1.GatewayClass
	if err := f.client.Get(ctx, types.NamespacedName{Name: string(g.Spec.GatewayClassName)}, &class); err != nil {
		return out, false, client.IgnoreNotFound(err)
	}
	var specs [2]*schema.ProxyConfigSpec
	ofClass, hasClass := kube.ConfigOfClass(&class)
	ofGateway, hasGateway := kube.ConfigOfGateway(g)
	for i, c := range []struct {
		name types.NamespacedName
		has  bool
	}{{ofClass, hasClass}, {ofGateway, hasGateway}} {
		if !c.has {
			continue
		}
		var config schema.ProxyConfig
		if err := f.client.Get(ctx, c.name, &config); err != nil {
			return out, false, client.IgnoreNotFound(err)
		}
		specs[i] = &config.Spec
	}
	return fleet.Merge(specs[0], specs[1]), true, nil
}

// deployment reads the fleet's Deployment; nil when there is none of its own.
func (f *fleets) deployment(ctx context.Context, g *gwv1.Gateway) (*appsv1.Deployment, error) {
	var d appsv1.Deployment
	switch err := f.client.Get(ctx, fleetName(g), &d); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case !fleet.Owned(&d, g.UID):
		return nil, nil
	}
	return &d, nil
}

// fleetName is the name that the objects of the Gateway's fleet have.
func fleetName(g *gwv1.Gateway) types.NamespacedName {
	return types.NamespacedName{Namespace: g.Namespace, Name: fleet.Name(g.Name, string(g.Spec.GatewayClassName))}
}

// foreignError is an object of somebody else under the name that one of a fleet would have.
type foreignError struct{ kind, name string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("there is a %s %s that is not the Gateway's; rename it or the Gateway", e.kind, e.name)
}

// apply applies an object unless it was applied before just so. An object that exists without being the Gateway's is an error.
func (f *fleets) apply(ctx context.Context, a *applied, gateway types.UID, o fleet.Object) error {
	text, err := json.Marshal(o.Object)
	if err != nil {
		return fmt.Errorf("writing %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	key, digest := objectKey{o.Manager, o.GetKind(), o.GetName()}, sha256.Sum256(text)
	f.mu.Lock()
	before, had := a.digests[key]
	f.mu.Unlock()
	if had && before == digest {
		return nil
	}
	if !had && o.Manager == fleet.Manager {
		ref := fleet.Ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Name: model.Name{Namespace: o.GetNamespace(), Name: o.GetName()}}
		there, err := f.find(ctx, ref)
		if err != nil {
			return err
		}
		if there != nil && !fleet.Owned(there, gateway) {
			return &foreignError{o.GetKind(), o.GetName()}
		}
	}
	err = f.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.Unstructured), client.ForceOwnership, client.FieldOwner(o.Manager))
	if err != nil {
		return fmt.Errorf("applying %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
	}
	applies.WithLabelValues(o.GetKind()).Inc()
	f.log.Info("applied", "kind", o.GetKind(), "namespace", o.GetNamespace(), "name", o.GetName())
	f.mu.Lock()
	a.digests[key] = digest
	a.versions[[2]string{key.kind, key.name}] = versionOf(key.kind, o)
	f.mu.Unlock()
	return nil
}

// find reads the metadata of an object; nil when it does not exist.
func (f *fleets) find(ctx context.Context, r fleet.Ref) (*metav1.PartialObjectMetadata, error) {
	m := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: r.APIVersion, Kind: r.Kind}}
	switch err := f.live.Get(ctx, types.NamespacedName(r.Name), m); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s %s/%s: %w", r.Kind, r.Name.Namespace, r.Name.Name, err)
	}
	return m, nil
}

// remove deletes an object if it is the Gateway's.
func (f *fleets) remove(ctx context.Context, r fleet.Ref, gateway types.UID) error {
	o, err := f.find(ctx, r)
	if err != nil || o == nil || !fleet.Owned(o, gateway) {
		return err
	}
	uid := o.UID
	err = f.client.Delete(ctx, o, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %s %s/%s: %w", r.Kind, r.Name.Namespace, r.Name.Name, err)
	}
	f.log.Info("deleted", "kind", r.Kind, "namespace", r.Name.Namespace, "name", r.Name.Name)
	return nil
}

// leave takes the fleet of a Gateway down that has a class of another controller now. One whose class does not exist is left
// alone: it may come back.
func (f *fleets) leave(ctx context.Context, g *gwv1.Gateway) error {
	var class gwv1.GatewayClass
	if err := f.client.Get(ctx, types.NamespacedName{Name: string(g.Spec.GatewayClassName)}, &class); err != nil {
		return client.IgnoreNotFound(err)
	}
	if class.Spec.ControllerName == f.controller {
		return nil
	}
	if err := f.takeDown(ctx, g, ""); err != nil {
		return err
	}
	f.forget(client.ObjectKeyFromObject(g))
	return nil
}

// takeDown removes what the Gateway has of fleets of this controller under other names than keep: those of another class that it
// had before.
func (f *fleets) takeDown(ctx context.Context, g *gwv1.Gateway, keep string) error {
	settings, ok := f.settings()
	if !ok {
		return nil
	}
	var list appsv1.DeploymentList
	if err := f.client.List(ctx, &list, client.InNamespace(g.Namespace)); err != nil {
		return fmt.Errorf("listing the fleets in %s: %w", g.Namespace, err)
	}
	for i := range list.Items {
		d := &list.Items[i]
		if d.Name == keep || !fleet.Owned(d, g.UID) || !fleet.Calls(d, settings) {
			continue
		}
		for _, r := range fleet.All(model.Name{Namespace: g.Namespace, Name: g.Name}, string(g.Spec.GatewayClassName)) {
			r.Name.Name = d.Name
			if err := f.remove(ctx, r, g.UID); err != nil {
				return err
			}
		}
	}
	return nil
}

// of gives what was applied for a Gateway: nothing, if it is another one than last time.
func (f *fleets) of(g *gwv1.Gateway) *applied {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := client.ObjectKeyFromObject(g)
	a := f.known[name]
	if a == nil || a.gateway != g.UID {
		a = &applied{gateway: g.UID, digests: map[objectKey][sha256.Size]byte{}, versions: map[[2]string]string{}}
		f.known[name] = a
	}
	return a
}

func (f *fleets) forget(name types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, name)
}

// problem keeps what is wrong with a fleet, for the Gateway's status.
func (f *fleets) problem(name types.NamespacedName, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	f.mu.Lock()
	a := f.known[name]
	differs := a != nil && a.problem != text
	if differs {
		a.problem = text
	}
	f.mu.Unlock()
	if differs {
		f.changed(kube.Ref{Kind: kube.Gateway, Name: name})
	}
}

func (f *fleets) problemOf(name types.NamespacedName) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.known[name]; a != nil {
		return a.problem
	}
	return ""
}

// seen is told about every object that may be one of a fleet. One that somebody else changed or deleted is applied again.
func (f *fleets) seen(kind string, o client.Object, gone bool) {
	gateway := o.GetAnnotations()[fleet.GatewayAnnotation]
	if gateway == "" {
		return
	}
	name := types.NamespacedName{Namespace: o.GetNamespace(), Name: gateway}
	if f.outdated(name, [2]string{kind, o.GetName()}, versionOf(kind, o), gone) {
		f.queue.AddAfter(name, redo)
	}
	f.changed(kube.Ref{Kind: kube.Gateway, Name: name})
}

// redo is how long an object stays as somebody else made it: whoever changes it again and again does not keep us busy.
const redo = 500 * time.Millisecond

// outdated tells whether an object is not as it was applied, and forgets that it was.
func (f *fleets) outdated(gateway types.NamespacedName, object [2]string, version string, gone bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.known[gateway]
	if a == nil {
		return true
	}
	applied, ok := a.versions[object]
	if !ok || applied == version && !gone {
		return false
	}
	delete(a.versions, object)
	for key := range a.digests {
		if key.kind == object[0] && key.name == object[1] {
			delete(a.digests, key)
		}
	}
	return true
}

// versionOf says which state of what others may not change an object is in. An autoscaler's changes with every measurement; what
// it does is left alone.
func versionOf(kind string, o client.Object) string {
	switch kind {
	case "HorizontalPodAutoscaler":
		return ""
	case "Deployment", "PodDisruptionBudget":
		return strconv.FormatInt(o.GetGeneration(), 10)
	default:
		return o.GetResourceVersion()
	}
}
