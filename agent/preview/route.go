package preview

import (
	"maps"
	"slices"
	"strconv"

	"headgate.dev/render/object"
)

// maxHosts and maxRules are how many a route may have.
const (
	maxHosts = 16
	maxRules = 16
)

// hostRoutes makes the routes at the preview's hosts.
func (p *planner) hostRoutes() {
	if p.rules.Mode == ByHeader {
		return
	}
	hosts, from := map[object.ID][]string{}, map[object.ID]*object.Object{}
	for _, s := range p.sites {
		for _, o := range s.after {
			hosts[o.ID] = append(hosts[o.ID], s.Host)
			from[o.ID] = o
		}
	}
	for _, id := range sortedIDs(hosts) {
		slices.Sort(hosts[id])
		part := 0
		for chunk := range slices.Chunk(hosts[id], maxHosts) {
			part++
			spec := p.spec(from[id], p.previewHosts())
			spec["hostnames"] = texts(chunk)
			spec["parentRefs"] = p.parents(from[id])
			p.add(from[id], p.route(from[id], part2(part), spec))
		}
	}
}

func part2(n int) string {
	if n < 2 {
		return ""
	}
	return "-" + strconv.Itoa(n)
}

// previewHosts maps hosts of production to those of the preview, for redirects.
func (p *planner) previewHosts() map[string]string {
	out := map[string]string{}
	for _, s := range p.sites {
		for _, host := range s.Hosts {
			if _, has := out[host]; !has {
				out[host] = s.Host
			}
		}
	}
	return out
}

// route makes a route of the preview.
func (p *planner) route(from *object.Object, suffix string, spec map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": from.APIVersion(), "kind": from.ID.Kind,
		"metadata": map[string]any{
			"namespace": from.ID.Namespace, "name": p.rules.routeName(from.ID.Name, suffix), "labels": p.labels(nil),
		},
		"spec": spec,
	}
}

// spec copies a route's spec, with its references where the preview has them, and redirects to the preview's hosts.
func (p *planner) spec(from *object.Object, hosts map[string]string) map[string]any {
	spec := object.CloneMap(mapAt(from.Content, "spec"))
	if spec == nil {
		spec = map[string]any{}
	}
	for _, rule := range listAt(spec, "rules") {
		p.rewrite(rule, from.ID.Namespace)
		for _, f := range listAt(rule, "filters") {
			redirect := mapAt(f, "requestRedirect")
			if host, has := hosts[textAt(redirect, "hostname")]; has {
				redirect["hostname"] = host
			}
		}
	}
	return spec
}

// rewrite points a copied rule's references to Services at the preview's, where it has them. One that the change removes is pointed at where there is none.
func (p *planner) rewrite(rule any, namespace string) {
	backends(rule, func(b map[string]any, _ string) {
		if id, ok := service(b, namespace); ok && (p.moved[id] != nil || p.gone[id]) {
			b["namespace"] = p.rules.Namespace
		}
	})
}

// parents gives where a route of the preview is served by host.
func (p *planner) parents(from *object.Object) []any {
	own := listAt(from.Content, "spec", "parentRefs")
	if p.rules.Local {
		parents, _ := object.Clone(own).([]any)
		return parents
	}
	if g := p.rules.Gateway; g.Name != "" {
		parent := map[string]any{"namespace": g.Namespace, "name": g.Name}
		if g.Section != "" && from.ID.Kind != "TLSRoute" {
			parent["sectionName"] = g.Section
		}
		return []any{parent}
	}
	var out []any
	seen := map[string]bool{}
	for _, parent := range own {
		m, ok := parent.(map[string]any)
		if !ok {
			continue
		}
		m = maps.Clone(m)
		delete(m, "sectionName") // the listener of production's host has none of the preview's
		delete(m, "port")
		if text := string(object.AppendJSON(nil, m)); !seen[text] {
			seen[text] = true
			out = append(out, m)
		}
	}
	return out
}
