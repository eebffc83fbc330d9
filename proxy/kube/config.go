package kube

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

func newProxyConfig() Object { return &schema.ProxyConfig{} }

func compareProxyConfig(old, now *schema.ProxyConfig) difference {
	return differWhen(!equality.Semantic.DeepEqual(&old.Spec, &now.Spec))
}

func linksOfGatewayClass(c *gwv1.GatewayClass) []link {
	name, ok := ConfigOfClass(c)
	if !ok {
		return nil
	}
	return []link{{toConfig, name}}
}

// ConfigOfClass gives the ProxyConfig that a class names; ok is false when it names none, or something else.
func ConfigOfClass(c *gwv1.GatewayClass) (name types.NamespacedName, ok bool) {
	p := c.Spec.ParametersRef
	if p == nil || !isConfig(p.Group, p.Kind) || p.Namespace == nil {
		return name, false
	}
	return types.NamespacedName{Namespace: string(*p.Namespace), Name: p.Name}, true
}

// ConfigOfGateway gives the ProxyConfig, of its own namespace, that a Gateway names; ok is false when it names none, or something
// else.
func ConfigOfGateway(g *gwv1.Gateway) (name types.NamespacedName, ok bool) {
	i := g.Spec.Infrastructure
	if i == nil || i.ParametersRef == nil || !isConfig(i.ParametersRef.Group, i.ParametersRef.Kind) {
		return name, false
	}
	return types.NamespacedName{Namespace: g.Namespace, Name: i.ParametersRef.Name}, true
}

func isConfig(group gwv1.Group, kind gwv1.Kind) bool {
	return string(group) == schema.ProxyConfigNamed.Group && string(kind) == schema.ProxyConfigNamed.Kind
}

// ProxyConfig gives the ProxyConfig of that name, or nil.
func (s *Snapshot) ProxyConfig(name types.NamespacedName) *schema.ProxyConfig { return s.configs[name] }

// ClassesOfConfig lists the GatewayClasses that name the ProxyConfig.
func (s *Snapshot) ClassesOfConfig(config types.NamespacedName) []types.NamespacedName {
	return s.links.namesOf(link{toConfig, config}, GatewayClass)
}

// GatewaysOfConfig lists the Gateways that name the ProxyConfig themselves.
func (s *Snapshot) GatewaysOfConfig(config types.NamespacedName) []types.NamespacedName {
	return s.links.namesOf(link{toConfig, config}, Gateway)
}

// Contents lists the Secrets and ConfigMaps that an object names, sorted and without repeats.
func Contents(k Kind, o Object) []Ref {
	var out []Ref
	for _, l := range linksOf(k, o) {
		switch l.relation {
		case toSecret:
			out = append(out, Ref{Secret, l.to})
		case toConfigMap:
			out = append(out, Ref{ConfigMap, l.to})
		}
	}
	slices.SortFunc(out, CompareRefs)
	return slices.Compact(out)
}
