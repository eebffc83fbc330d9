package apply

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"headgate.dev/render/object"
)

// NewKinds reads which kinds an API server has, when it is first asked for one, and again after each Reset. It is meant to be shared by all
// Appliers of a process: what is served is no secret, and is read as headgate itself.
func NewKinds(config *rest.Config) (meta.ResettableRESTMapper, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for discovery: %w", err)
	}
	return restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client)), nil
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

// kinds looks kinds up, and lets the mapper read anew at most once.
type kinds struct {
	mapper meta.ResettableRESTMapper
	fresh  bool
}

// find gives the target of a kind in a version, or in any version for "". The error is an *Error with ReasonNotServed when the API server
// says that it does not have it.
func (k *kinds) find(id object.ID, version string) (target, error) {
	t, err := k.lookUp(id, version)
	if meta.IsNoMatchError(err) && !k.fresh {
		k.reset()
		t, err = k.lookUp(id, version)
	}
	if meta.IsNoMatchError(err) {
		return target{}, &Error{Reason: ReasonNotServed, Doing: "looking up the kind of", ID: id, Message: k.notServed(id, version)}
	}
	if err != nil {
		return target{}, fmt.Errorf("looking up kind %s: %w", id.Kind, err)
	}
	return t, nil
}

func (k *kinds) reset() {
	k.mapper.Reset()
	k.fresh = true
}

func (k *kinds) lookUp(id object.ID, version string) (target, error) {
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
func (k *kinds) notServed(id object.ID, version string) string {
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
