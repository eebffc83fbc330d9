package resolve

import (
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/backend"
)

// l4Spec is a TCPRoute, UDPRoute or TLSRoute, which hardly differ.
type l4Spec struct {
	object    kube.Object
	parents   []gwv1.ParentReference
	hostnames []gwv1.Hostname
	rules     []l4Rule
}

type l4Rule struct {
	name     *gwv1.SectionName
	backends []gwv1.BackendRef
}

func l4SpecOf(s *kube.Snapshot, ref kube.Ref) (spec l4Spec, exists bool) {
	switch ref.Kind {
	case kube.TCPRoute:
		o := s.TCPRoute(ref.Name)
		if o == nil {
			return spec, false
		}
		spec = l4Spec{object: o, parents: o.Spec.ParentRefs}
		for i := range o.Spec.Rules {
			spec.rules = append(spec.rules, l4Rule{o.Spec.Rules[i].Name, o.Spec.Rules[i].BackendRefs})
		}
	case kube.UDPRoute:
		o := s.UDPRoute(ref.Name)
		if o == nil {
			return spec, false
		}
		spec = l4Spec{object: o, parents: o.Spec.ParentRefs}
		for i := range o.Spec.Rules {
			spec.rules = append(spec.rules, l4Rule{o.Spec.Rules[i].Name, o.Spec.Rules[i].BackendRefs})
		}
	default:
		o := s.TLSRoute(ref.Name)
		if o == nil {
			return spec, false
		}
		spec = l4Spec{object: o, parents: o.Spec.ParentRefs, hostnames: o.Spec.Hostnames}
		for i := range o.Spec.Rules {
			spec.rules = append(spec.rules, l4Rule{o.Spec.Rules[i].Name, o.Spec.Rules[i].BackendRefs})
		}
	}
	return spec, true
}

func l4Route(s *kube.Snapshot, ref kube.Ref, gateways gatewaysOf) *RouteResult {
	spec, exists := l4SpecOf(s, ref)
	if !exists {
		return nil
	}
	r := newResult(ref.Kind, spec.object)
	hostnames, bad := routeHostnames(spec.hostnames)
	a := attacher{s: s, kind: ref.Kind, namespace: ref.Name.Namespace, hostnames: hostnames, gateways: gateways}
	a.attach(spec.parents)
	if len(a.parents) == 0 {
		return r
	}
	b := l4Rules{ruleBuilder: ruleBuilder{s: s, kind: ref.Kind, name: ref.Name}}
	b.whole, b.l4 = bad, true
	b.build(spec.rules)
	for i := range a.l4 {
		at := &a.l4[i]
		at.Forward = b.forward(b.uses(gateways(at.Gateway).Find(at.Set, at.Name).Terminate != nil))
	}
	b.clusters = b.named(a.l4)
	r.finish(&a, &b.ruleBuilder)
	return r
}

// l4Rules reads the only rule of a route below HTTP.
type l4Rules struct {
	ruleBuilder
	source model.Source
	shares []l4Share
	made   map[backend.Use]*model.L4Forward
}

type l4Share struct {
	ref    *gwv1.BackendObjectReference
	weight uint32
	valid  bool
}

// build reads the backends. A route has one rule; of more, which no valid route has, the first counts and the others are
// dropped.
func (b *l4Rules) build(rules []l4Rule) {
	b.rules = len(rules)
	for i := range rules {
		name := string(deref(rules[i].name))
		if i > 0 {
			b.add(i, name, unsupported("a %s has one rule; move it to a route of its own", b.kind))
			continue
		}
		b.source = model.Source{Kind: b.kind.String(), Name: model.Name(b.name), RuleName: name}
		for j := range rules[i].backends {
			ref := &rules[i].backends[j]
			w, f := weight(ref.Weight, j)
			if f != nil {
				b.add(i, name, f)
				b.shares = nil
				break
			}
			id := b.backend(&ref.BackendObjectReference, b.uses(false), func() string { return place{i, j}.field("") })
			b.shares = append(b.shares, l4Share{&ref.BackendObjectReference, w, id != model.ClusterID{}})
		}
	}
}

// uses gives what the connections carry, on a listener that ends TLS or on another one.
func (b *l4Rules) uses(terminated bool) backend.Use {
	switch {
	case b.kind == kube.UDPRoute:
		return backend.ForUDP
	case terminated:
		return backend.ForDecrypted
	default:
		return backend.ForTCP
	}
}

// forward gives the shares for a use; nil when none is valid and has a weight.
func (b *l4Rules) forward(use backend.Use) *model.L4Forward {
	if out, done := b.made[use]; done {
		return out
	}
	out, served := &model.L4Forward{Source: b.source}, false
	for _, s := range b.shares {
		share := model.Share{Weight: s.weight}
		if s.valid {
			share.Cluster, _, _ = b.lookup(s.ref, use)
			served = served || s.weight > 0
		}
		out.Shares = append(out.Shares, share)
	}
	if !served {
		out = nil
	}
	if b.made == nil {
		b.made = map[backend.Use]*model.L4Forward{}
	}
	b.made[use] = out
	return out
}

// named lists the clusters of all attachments.
func (b *l4Rules) named(as []L4Attachment) []model.ClusterID {
	var out []model.ClusterID
	for i := range as {
		if as[i].Forward == nil {
			continue
		}
		for _, s := range as[i].Forward.Shares {
			if (s.Cluster != model.ClusterID{}) && !slices.Contains(out, s.Cluster) {
				out = append(out, s.Cluster)
			}
		}
	}
	return out
}
