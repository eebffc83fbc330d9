package apply

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"headgate.dev/render/object"
)

// Kinds are the kinds that an API server has, read when it is first asked for one, and again where one is missing. They are meant to be shared by
// all Appliers of a process: what is served is no secret, and is read as headgate itself.
type Kinds struct {
	mapper    meta.ResettableRESTMapper
	discovery discovery.CachedDiscoveryInterface
}

// NewKinds makes Kinds. It makes no call.
func NewKinds(config *rest.Config) (*Kinds, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for discovery: %w", err)
	}
	cached := memory.NewMemCacheClient(client)
	return &Kinds{mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached), discovery: cached}, nil
}

// hidden tells whether a group may have kinds that the API server cannot tell at this moment, as when the server behind an aggregated API is away.
func (k *Kinds) hidden(group string) bool {
	_, _, err := k.discovery.ServerGroupsAndResources()
	failed, some := discovery.GroupDiscoveryFailedErrorGroups(err)
	if !some {
		return err != nil
	}
	for version := range failed {
		if version.Group == group {
			return true
		}
	}
	return false
}

// target is where the objects of a kind are.
type target struct {
	resource   schema.GroupVersionResource
	kind       string
	namespaced bool
}

func (t target) apiVersion() string { return t.resource.GroupVersion().String() }

// sameInAllVersions are the groups whose kinds mean the same in every version they have: where a cluster serves other versions than the one that was
// rendered, its own is taken. The experimental kinds of Gateway API went from v1alpha2 to v1 unchanged.
var sameInAllVersions = []string{"gateway.networking.k8s.io"}

// lookUps looks kinds up for one apply, and has them read anew at most once where one is missing.
type lookUps struct {
	*Kinds
	mu    sync.Mutex
	fresh bool // guarded by mu
}

// find gives the target of a kind in a version, or in any version for "". The error is an *Error with ReasonNotServed when the API server
// says that it does not have it.
func (k *lookUps) find(id object.ID, version string) (target, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, err := k.lookUp(id, version)
	if meta.IsNoMatchError(err) && !k.fresh {
		k.reset()
		t, err = k.lookUp(id, version)
	}
	if meta.IsNoMatchError(err) {
		if k.hidden(id.Group) {
			return target{}, fmt.Errorf("looking up kind %s: the API server cannot say at this moment what is in group %s", id.Kind, id.Group)
		}
		return target{}, &Error{Reason: ReasonNotServed, Doing: "looking up the kind of", ID: id, Message: k.notServed(id, version)}
	}
	if err != nil {
		return target{}, fmt.Errorf("looking up kind %s: %w", id.Kind, err)
	}
	return t, nil
}

// reset has kinds read anew, mu is held.
func (k *lookUps) reset() {
	k.mapper.Reset()
	k.fresh = true
}

// again is reset for others.
func (k *lookUps) again() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reset()
}

func (k *Kinds) lookUp(id object.ID, version string) (target, error) {
	kind := schema.GroupKind{Group: id.Group, Kind: id.Kind}
	var versions []string
	if version != "" {
		versions = []string{version}
	}
	m, err := k.mapper.RESTMapping(kind, versions...)
	if meta.IsNoMatchError(err) && version != "" && slices.Contains(sameInAllVersions, id.Group) {
		m, err = k.mapper.RESTMapping(kind)
	}
	if err != nil {
		return target{}, err
	}
	return target{resource: m.Resource, kind: id.Kind, namespaced: m.Scope.Name() == meta.RESTScopeNameNamespace}, nil
}

// notServed says which versions of a kind there are.
func (k *Kinds) notServed(id object.ID, version string) string {
	mappings, _ := k.mapper.RESTMappings(schema.GroupKind{Group: id.Group, Kind: id.Kind})
	var served []string
	for _, m := range mappings {
		served = append(served, m.Resource.Version)
	}
	name := id.Kind
	if id.Group != "" {
		name += "." + id.Group
	}
	if len(served) == 0 || version == "" {
		return "the API server does not have the kind " + name + ": is its custom resource definition installed?"
	}
	slices.Sort(served)
	return fmt.Sprintf("the API server has the kind %s in %s, not in %s", name, strings.Join(slices.Compact(served), ", "), version)
}

// scope says what is wrong with an object's namespace, nothing when it is as the kind wants it.
func (t target) scope(id object.ID) string {
	switch {
	case t.namespaced && id.Namespace == "":
		return "objects of this kind are in a namespace, and it names none"
	case !t.namespaced && id.Namespace != "":
		return "objects of this kind are in no namespace: take out metadata.namespace"
	}
	return ""
}
