package preview

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"headgate.dev/render/object"
)

// anyHost stands for the host of a route that has none.
const anyHost = "*"

// site is a Site with the routes that make it.
type site struct {
	Site
	// first is the service's first host in production, whose neighbours answer at the preview's host too.
	first string
	// gateways are those of the service's routes, as "namespace/name".
	gateways map[string]bool
	// before are the routes of production that answer at the service's hosts, after those of the outcome; both by ID.
	before, after []*object.Object
	place         *object.Object // a route that the site is named after, for refusals
}

type siteKey struct{ namespace, service string }

// place finds the services that the change touches, and gives each a host.
func (p *planner) place(c Change) {
	sites := map[siteKey]*site{}
	for o := range p.outcome.All() {
		if roleOf(o.ID) == route && (p.changed[o.ID] || p.leadsToTouched(o)) {
			noteSite(sites, o, p.outcome)
		}
	}
	for _, o := range c.Removed {
		if roleOf(o.ID) == route {
			noteSite(sites, o, p.production)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(sites), func(a, b siteKey) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.service, b.service))
	}) {
		s := sites[key]
		s.Hosts, s.Kinds = sortedTexts(s.Hosts), sortedTexts(s.Kinds)
		s.before, s.after = p.members(s, p.production), p.members(s, p.outcome)
		s.Gone = len(s.after) == 0
		if p.rules.Mode == ByHeader || p.name(s) {
			p.sites = append(p.sites, s)
		}
	}
}

// noteSite adds what a route of a set says about its service.
func noteSite(sites map[siteKey]*site, o *object.Object, in *object.Set) {
	key := siteKey{o.ID.Namespace, serviceName(o, in)}
	s := sites[key]
	if s == nil {
		s = &site{Site: Site{Service: key.service, Namespace: key.namespace}, gateways: map[string]bool{}, place: o}
		sites[key] = s
	}
	hosts := hostnames(o)
	if len(hosts) == 0 {
		hosts = []string{anyHost}
	}
	if s.first == "" {
		s.first = hosts[0]
	}
	s.Hosts = append(s.Hosts, hosts...)
	for _, g := range gatewaysOf(o) {
		s.gateways[g] = true
	}
	s.Kinds = append(s.Kinds, o.ID.Kind)
}

func sortedTexts(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// name gives a site its host, unless somebody has it already.
func (p *planner) name(s *site) bool {
	label, err := p.rules.label(s.Service, s.Namespace)
	if err != nil || !isLabel(label) {
		p.refuse(RuleName, s.place, "/metadata/name", "its name and the pattern "+cmp.Or(p.rules.Host, DefaultHost)+" make no host: "+label)
		return false
	}
	s.Host = label + "." + p.rules.Domain
	if owner, taken := p.rules.Taken[s.Host]; taken {
		p.refuse(RuleCollision, s.place, "/metadata/name", "the host "+s.Host+" is that of "+owner)
		return false
	}
	if owner, taken := p.hosts[s.Host]; taken {
		p.refuse(RuleCollision, s.place, "/metadata/name", "the host "+s.Host+" is that of "+owner.String()+" in production")
		return false
	}
	for _, other := range p.sites {
		if other.Host == s.Host {
			p.refuse(RuleCollision, s.place, "/metadata/name",
				"the host "+s.Host+" is that of service "+other.Namespace+"/"+other.Service+" too; a pattern with {{.Namespace}} in it tells them apart")
			return false
		}
	}
	return true
}

// leadsToTouched tells whether a route leads to a Service that moves or goes.
func (p *planner) leadsToTouched(o *object.Object) (yes bool) {
	for _, rule := range listAt(o.Content, "spec", "rules") {
		backends(rule, func(b map[string]any, _ string) {
			if id, ok := service(b, o.ID.Namespace); ok {
				yes = yes || p.moved[id] != nil || p.gone[id]
			}
		})
	}
	return yes
}

// members gives the routes of a set that answer at the site: those of the service and its neighbours.
func (p *planner) members(s *site, set *object.Set) []*object.Object {
	var out []*object.Object
	for o := range set.All() {
		if roleOf(o.ID) != route {
			continue
		}
		own := o.ID.Namespace == s.Namespace && serviceName(o, set) == s.Service
		if own || s.neighbour(o) {
			out = append(out, o)
		}
	}
	return out
}

// neighbour tells whether a route answers at the site's first host at one of its Gateways. A route that does nothing but redirect to HTTPS is none: it
// is on listeners of its own.
func (s *site) neighbour(o *object.Object) bool {
	if !slices.ContainsFunc(gatewaysOf(o), func(g string) bool { return s.gateways[g] }) || upgrades(o) {
		return false
	}
	hosts := hostnames(o)
	return len(hosts) == 0 && s.first == anyHost || slices.Contains(hosts, s.first)
}

// gatewaysOf gives the parents of a route as "namespace/name".
func gatewaysOf(o *object.Object) []string {
	var out []string
	for _, parent := range listAt(o.Content, "spec", "parentRefs") {
		out = append(out, cmp.Or(textAt(parent, "namespace"), o.ID.Namespace)+"/"+textAt(parent, "name"))
	}
	return out
}

// upgrades tells whether all that a route does is to redirect to HTTPS.
func upgrades(o *object.Object) bool {
	rules := listAt(o.Content, "spec", "rules")
	for _, rule := range rules {
		filters := listAt(rule, "filters")
		if len(listAt(rule, "backendRefs")) > 0 || len(filters) != 1 || textAt(filters[0], "requestRedirect", "scheme") != "https" ||
			textAt(filters[0], "requestRedirect", "hostname") != "" {
			return false
		}
	}
	return len(rules) > 0
}

// serviceName is the name of a route's service. A spec that needs several routes calls the further ones NAME-2, NAME-3, with the same hosts.
func serviceName(o *object.Object, in *object.Set) string {
	i := strings.LastIndexByte(o.ID.Name, '-')
	if i < 0 {
		return o.ID.Name
	}
	if n, err := strconv.Atoi(o.ID.Name[i+1:]); err != nil || n < 2 {
		return o.ID.Name
	}
	first := o.ID
	first.Name = o.ID.Name[:i]
	if a := in.Get(first); a == nil || !slices.Equal(hostnames(a), hostnames(o)) {
		return o.ID.Name
	}
	return first.Name
}
