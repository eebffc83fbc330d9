package preview

import (
	"maps"
	"slices"
	"strings"
)

// surround makes the preview's namespace, and what keeps it in bounds.
func (p *planner) surround() {
	p.namespace()
	p.make("v1", "ServiceAccount", account, map[string]any{"automountServiceAccountToken": false})
	hard := maps.Clone(DefaultQuota)
	maps.Copy(hard, p.rules.Quota)
	p.make("v1", "ResourceQuota", account, map[string]any{"spec": map[string]any{"hard": textMap(hard)}})
	p.make("v1", "LimitRange", account, map[string]any{"spec": map[string]any{"limits": []any{map[string]any{
		"type":           "Container",
		"default":        map[string]any{"cpu": "500m", "memory": "256Mi"},
		"defaultRequest": map[string]any{"cpu": "10m", "memory": "64Mi"},
	}}}})
	p.make("networking.k8s.io/v1", "NetworkPolicy", account, map[string]any{"spec": p.network()})
	p.grant()
}

func (p *planner) namespace() {
	level := "baseline"
	if p.rules.Fork != nil {
		level = "restricted"
	}
	labels := p.labels(nil)
	labels["pod-security.kubernetes.io/enforce"] = level
	p.add(nil, map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": p.rules.Namespace, "labels": labels},
	})
}

// make adds an object of the preview's namespace that is made from nothing of the tree. One of the tree with that ID stands already.
func (p *planner) make(apiVersion, kind, name string, content map[string]any) {
	content["apiVersion"], content["kind"] = apiVersion, kind
	content["metadata"] = map[string]any{"name": name, "namespace": p.rules.Namespace, "labels": p.labels(nil)}
	p.add(nil, content)
}

// network lets requests in from the namespace itself and from the proxies. A fork's pods reach each other and the cluster's names, and nothing else; others
// reach what production's pods reach.
func (p *planner) network() map[string]any {
	from := []any{map[string]any{"podSelector": map[string]any{}}}
	proxies := map[string]bool{}
	for _, n := range p.rules.Proxies {
		proxies[n] = true
	}
	if len(proxies) == 0 {
		if p.rules.Gateway.Namespace != "" {
			proxies[p.rules.Gateway.Namespace] = true
		}
		for _, s := range p.sites {
			for gateway := range s.gateways {
				namespace, _, _ := strings.Cut(gateway, "/")
				proxies[namespace] = true
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(proxies)) {
		from = append(from, map[string]any{"namespaceSelector": named(n)})
	}
	spec := map[string]any{"podSelector": map[string]any{}, "policyTypes": []any{"Ingress"}, "ingress": []any{map[string]any{"from": from}}}
	if p.rules.Fork != nil {
		spec["policyTypes"] = []any{"Ingress", "Egress"}
		spec["egress"] = []any{
			map[string]any{"to": []any{map[string]any{"podSelector": map[string]any{}}}},
			map[string]any{
				"to":    []any{map[string]any{"namespaceSelector": named("kube-system")}},
				"ports": []any{map[string]any{"protocol": "UDP", "port": int64(53)}, map[string]any{"protocol": "TCP", "port": int64(53)}},
			},
		}
	}
	return spec
}

func named(namespace string) map[string]any {
	return map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace}}
}

// grant lets the preview's routes lead into its namespace.
func (p *planner) grant() {
	type key struct{ kind, namespace string }
	keys := map[key]bool{}
	for id, o := range p.out {
		for _, rule := range listAt(o.Content, "spec", "rules") {
			backends(rule, func(b map[string]any, _ string) {
				if roleOf(id) == route && textAt(b, "namespace") == p.rules.Namespace {
					keys[key{id.Kind, id.Namespace}] = true
				}
			})
		}
	}
	var from []any
	for _, k := range slices.SortedFunc(maps.Keys(keys), func(a, b key) int {
		return slices.Compare([]string{a.kind, a.namespace}, []string{b.kind, b.namespace})
	}) {
		from = append(from, map[string]any{"group": gatewayAPI, "kind": k.kind, "namespace": k.namespace})
	}
	if len(from) > 0 {
		p.make(gatewayAPI+"/v1", "ReferenceGrant", account, map[string]any{"spec": map[string]any{
			"from": from, "to": []any{map[string]any{"group": "", "kind": "Service"}},
		}})
	}
}
