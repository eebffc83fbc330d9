package controller

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve/gateway"
)

// book has what the steps said last about each object whose status is ours to write.
type book struct {
	mu       sync.Mutex // guards what follows; what the maps hold is never written to
	classes  map[string]gateway.Class
	gateways map[types.NamespacedName]engine.GatewayState
	routes   map[kube.Ref]engine.RouteState
	policies map[types.NamespacedName]engine.PolicyState
}

func newBook() *book {
	return &book{
		classes:  map[string]gateway.Class{},
		gateways: map[types.NamespacedName]engine.GatewayState{},
		routes:   map[kube.Ref]engine.RouteState{},
		policies: map[types.NamespacedName]engine.PolicyState{},
	}
}

// note takes in what a step said, and lists the objects it said something about.
func (b *book) note(e *engine.Effects) []kube.Ref {
	b.mu.Lock()
	defer b.mu.Unlock()
	refs := make([]kube.Ref, 0, len(e.Classes)+len(e.Gateways)+len(e.Routes)+len(e.Policies))
	for _, c := range e.Classes {
		keep(b.classes, c.Name, c, c.Ours)
		refs = append(refs, kube.Ref{Kind: kube.GatewayClass, Name: types.NamespacedName{Name: c.Name}})
	}
	for _, g := range e.Gateways {
		keep(b.gateways, g.Name, g, g.Result != nil)
		refs = append(refs, kube.Ref{Kind: kube.Gateway, Name: g.Name})
	}
	for _, r := range e.Routes {
		keep(b.routes, r.Ref, r, r.Result != nil)
		refs = append(refs, r.Ref)
	}
	for _, p := range e.Policies {
		keep(b.policies, p.Name, p, p.Result != nil)
		refs = append(refs, kube.Ref{Kind: kube.BackendTLSPolicy, Name: p.Name})
	}
	return refs
}

func keep[K comparable, V any](m map[K]V, key K, value V, there bool) {
	if there {
		m[key] = value
	} else {
		delete(m, key)
	}
}

// all lists every object the book has something about.
func (b *book) all() []kube.Ref {
	b.mu.Lock()
	defer b.mu.Unlock()
	var refs []kube.Ref
	for name := range b.classes {
		refs = append(refs, kube.Ref{Kind: kube.GatewayClass, Name: types.NamespacedName{Name: name}})
	}
	for name := range b.gateways {
		refs = append(refs, kube.Ref{Kind: kube.Gateway, Name: name})
	}
	for ref := range b.routes {
		refs = append(refs, ref)
	}
	for name := range b.policies {
		refs = append(refs, kube.Ref{Kind: kube.BackendTLSPolicy, Name: name})
	}
	return refs
}

func look[K comparable, V any](b *book, m map[K]V, key K) (V, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := m[key]
	return v, ok
}

func (b *book) class(name string) (gateway.Class, bool) { return look(b, b.classes, name) }

func (b *book) gateway(name types.NamespacedName) (engine.GatewayState, bool) {
	return look(b, b.gateways, name)
}

func (b *book) route(ref kube.Ref) (engine.RouteState, bool) { return look(b, b.routes, ref) }

func (b *book) policy(name types.NamespacedName) (engine.PolicyState, bool) {
	return look(b, b.policies, name)
}
