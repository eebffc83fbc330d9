package engine

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/gateway"
)

// hostState is a host as it was translated last.
type hostState struct {
	gateway types.NamespacedName
	model   *model.Host
	keys    []envoy.Key // of an exact host
	part    *envoy.Part // of a wildcard host
	refs    []kube.Ref  // the routes that have problems here
}

// tableState is one table of a Gateway.
type tableState struct {
	gateway   types.NamespacedName
	model     *model.Table
	wildcards incr.Set[string] // the names of its wildcard hosts
	keys      []envoy.Key      // what serves the wildcards
}

// openTable brings a table to what it is now.
func (s *step) openTable(gateway types.NamespacedName, t *model.Table) {
	state := s.tables[t.ID]
	if state == nil {
		state = &tableState{gateway: gateway, wildcards: incr.Set[string]{}}
		s.tables[t.ID] = state
	}
	state.model = t
	s.tablesDirty.Add(t.ID)
}

// closeTable forgets a table; its hosts go because no listener and no route names them any more.
func (s *step) closeTable(id model.TableID) {
	if t := s.tables[id]; t != nil {
		fleet := s.options.Fleet(t.gateway)
		for _, k := range t.keys {
			s.remove(fleet, k)
		}
		delete(s.tables, id)
	}
}

// host translates one host again from the routes that answer it.
func (s *step) host(id model.HostID) {
	old := s.hosts[id]
	state := &hostState{}
	if t := s.tables[id.Table]; t != nil {
		state.gateway = t.gateway
		state.model = s.resolveHost(id, s.gateways[t.gateway])
	}
	if old == nil && state.model == nil {
		return
	}
	s.Hosts = append(s.Hosts, hostChange(old, state))
	fleet := s.options.Fleet(state.gateway)
	if old != nil {
		fleet = s.options.Fleet(old.gateway)
		s.clearProblems(id, old.refs)
	}
	if state.model == nil {
		delete(s.hosts, id)
	} else {
		s.hosts[id] = state
		s.translateHost(fleet, state)
	}
	if old != nil {
		for _, k := range old.keys {
			if !slices.Contains(state.keys, k) {
				s.remove(fleet, k)
			}
		}
	}
	if id.Wildcard() {
		s.wildcard(id, old, state)
	}
}

func (s *step) resolveHost(id model.HostID, g *gateway.Result) *model.Host {
	refs := s.routeHosts.Users(id, kube.CompareRefs)
	contributions := make([]resolve.Contribution, 0, len(refs))
	for _, ref := range refs {
		r := s.served(ref)
		i := slices.IndexFunc(r.Attachments, func(a resolve.Attachment) bool { return a.Host == id })
		contributions = append(contributions, resolve.Contribution{Route: r, Specificity: r.Attachments[i].Specificity})
	}
	return resolve.Host(g, id, contributions)
}

func (s *step) translateHost(fleet string, state *hostState) {
	result := envoy.Host(state.model, s.options.Envoy)
	state.part = result.Part
	for _, r := range result.Resources {
		state.keys = append(state.keys, r.Key)
		s.put(fleet, r)
	}
	for _, p := range result.Problems {
		kind, _ := kube.KindOf("gateway.networking.k8s.io", p.Source.Kind)
		ref := kube.Ref{Kind: kind, Name: types.NamespacedName(p.Source.Name)}
		if s.problems[ref] == nil {
			s.problems[ref] = map[model.HostID][]resolve.Problem{}
		}
		s.problems[ref][state.model.ID] = append(s.problems[ref][state.model.ID], resolve.Problem(p))
		if !slices.Contains(state.refs, ref) {
			state.refs = append(state.refs, ref)
		}
		s.routeStatus.Add(ref)
	}
}

func (s *step) clearProblems(id model.HostID, refs []kube.Ref) {
	for _, ref := range refs {
		if delete(s.problems[ref], id); len(s.problems[ref]) == 0 {
			delete(s.problems, ref)
		}
		s.routeStatus.Add(ref)
	}
}

// wildcard keeps the list of a table's wildcard hosts, and marks the table when one of them is not what it was.
func (s *step) wildcard(id model.HostID, old, now *hostState) {
	t := s.tables[id.Table]
	if t == nil {
		return
	}
	if now.model == nil {
		delete(t.wildcards, id.Name)
	} else {
		t.wildcards.Add(id.Name)
	}
	if old == nil || old.part == nil || now.part == nil || old.part.Version != now.part.Version {
		s.tablesDirty.Add(id.Table)
	}
}

// table puts the wildcard hosts of a table together. It costs as much as the table has wildcards, which are few: exact
// hosts have resources of their own.
func (s *step) table(id model.TableID) {
	t := s.tables[id]
	if t == nil {
		return
	}
	names := t.wildcards.Sorted(incr.Compare)
	parts := make([]*envoy.Part, len(names))
	for i, name := range names {
		parts[i] = s.hosts[model.HostID{Table: id, Name: name}].part
	}
	t.keys = t.keys[:0]
	for _, r := range envoy.Wildcards(t.model, parts, s.options.Envoy) {
		t.keys = append(t.keys, r.Key)
		s.put(s.options.Fleet(t.gateway), r)
	}
}

func hostChange(old, now *hostState) HostChange {
	c := HostChange{Gateway: now.gateway, After: now.model}
	if old != nil {
		c.Gateway, c.Before = old.gateway, old.model
	}
	return c
}
