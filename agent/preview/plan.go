package preview

import (
	"cmp"
	"slices"
	"strings"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Plan is everything a preview is made of.
type Plan struct {
	// Objects are all that must exist. Empty when nothing differs, or everything is refused.
	Objects *object.Set
	// Sites are where the preview answers, by namespace and service.
	Sites []Site
	// Refusals are what is left out, by place.
	Refusals []Refusal
	// Refused: a fork asked for what it may not have, and so has no preview at all.
	Refused bool
	// Outcome is production with the change in it as far as it is not refused: what would be so after a merge.
	Outcome *object.Set
}

// Site is a service that the change touches.
type Site struct {
	// Service and Namespace name it.
	Service, Namespace string
	// Host is the preview's; empty by header alone.
	Host string
	// Hosts are those that the service has in production, where the preview answers by header.
	Hosts []string
	// Kinds are those of its routes, sorted.
	Kinds []string
	// Gone: no route of the outcome answers there any more.
	Gone bool
}

// Labels of what a preview is made of.
const (
	// LabelPreview is the preview's name.
	LabelPreview = "headgate.dev/preview"
	// LabelPreviewSync is the name of its Sync.
	LabelPreviewSync = "headgate.dev/preview-sync"
)

// AnnotationNoBackend on a route says which status requests get whose rule has no backend at all, instead of the 500 of Gateway API. Headgate knows 404.
const AnnotationNoBackend = "headgate.dev/no-backend"

// New plans a preview. The error is about the rules alone.
func New(production *object.Set, change Change, rules Rules) (*Plan, error) {
	if err := rules.check(); err != nil {
		return nil, err
	}
	p := newPlanner(production, change, rules)
	accepted := p.screen(change)
	p.outcome = accepted.Onto(production)
	for _, o := range slices.Concat(accepted.Put, accepted.Removed) {
		p.changed[o.ID] = true
	}
	p.touch(accepted)
	p.place(accepted)
	p.hostRoutes()
	p.headerRoutes()
	if len(p.moved) > 0 {
		p.copies()
		p.surround()
	}
	return p.done(), nil
}

func (r *Rules) check() error {
	for _, label := range []string{r.Name, r.Namespace} {
		if !isLabel(label) {
			return schema.Errors{{Message: "the preview's name or namespace " + label + " is no DNS label"}}
		}
	}
	if r.Mode != ByHeader && r.Domain == "" {
		return schema.Errors{{Message: "previews have no domain"}}
	}
	if r.Host != "" {
		return CheckHost(r.Host)
	}
	return nil
}

// planner is a plan being made.
type planner struct {
	production, outcome *object.Set
	change              Change
	rules               Rules
	// namespaces that production has something in; hosts of its routes, each with the first that has it; served are the Services its routes lead to.
	namespaces map[string]bool
	hosts      map[string]object.ID
	served     map[object.ID]bool

	changed map[object.ID]bool
	gone    map[object.ID]bool           // Services that the change removes
	moved   map[object.ID]*object.Object // what runs in the preview's namespace
	sites   []*site
	out     map[object.ID]*object.Object

	refusals []Refusal
}

func newPlanner(production *object.Set, change Change, rules Rules) *planner {
	p := &planner{
		production: production, change: change, rules: rules,
		namespaces: map[string]bool{}, hosts: map[string]object.ID{}, served: map[object.ID]bool{},
		changed: map[object.ID]bool{}, gone: map[object.ID]bool{}, moved: map[object.ID]*object.Object{}, out: map[object.ID]*object.Object{},
	}
	if p.rules.Mode == "" {
		p.rules.Mode = ByHost
	}
	for o := range production.All() {
		p.namespaces[o.ID.Namespace] = true
		if o.ID.Group == "" && o.ID.Kind == "Namespace" {
			p.namespaces[o.ID.Name] = true
		}
		for _, host := range hostnames(o) {
			if _, has := p.hosts[host]; !has {
				p.hosts[host] = o.ID
			}
		}
		if roleOf(o.ID) != route {
			continue
		}
		for _, rule := range listAt(o.Content, "spec", "rules") {
			backends(rule, func(b map[string]any, _ string) {
				if id, ok := service(b, o.ID.Namespace); ok {
					p.served[id] = true
				}
			})
		}
	}
	return p
}

// add puts an object into the plan.
func (p *planner) add(from *object.Object, content map[string]any) {
	var origin object.Origin
	if from != nil {
		origin = from.Origin
	}
	o, err := object.New(content, origin, nil)
	if err != nil {
		panic("preview: " + err.Error()) // all that is planned has a kind and a name
	}
	if first, has := p.out[o.ID]; has {
		if from != nil {
			p.refuse(RuleCollision, from, "/metadata/name", "two namespaces have one of that name, and the other one is in the preview already ("+first.Origin.String()+")")
		}
		return
	}
	p.out[o.ID] = o
}

// labels are those of every object of the preview, beside those that it has.
func (p *planner) labels(own map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range own {
		if !strings.HasPrefix(key, "headgate.dev/") {
			out[key] = value
		}
	}
	out[LabelPreview], out[LabelPreviewSync] = p.rules.Name, p.rules.Sync
	return out
}

func (p *planner) done() *Plan {
	plan := &Plan{Refusals: sortRefusals(p.refusals), Outcome: p.outcome}
	plan.Refused = p.rules.Fork != nil && len(plan.Refusals) > 0
	if plan.Refused {
		plan.Objects = &object.Set{}
		return plan
	}
	var objects []*object.Object
	for _, id := range sortedIDs(p.out) {
		objects = append(objects, p.out[id])
	}
	plan.Objects, _ = object.NewSet(objects)
	for _, s := range p.sites {
		plan.Sites = append(plan.Sites, s.Site)
	}
	slices.SortFunc(plan.Sites, func(a, b Site) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Service, b.Service))
	})
	return plan
}
