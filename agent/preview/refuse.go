package preview

import (
	"cmp"
	"slices"
	"strings"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Rule is the name of a rule by which a part of a change has no place in a preview. It is what people are told and may look up.
type Rule string

// The rules.
const (
	// RuleKind: a preview is made of routes and of what runs in a namespace of its own.
	RuleKind Rule = "kind"
	// RuleGrant: a ReferenceGrant opens production to somebody.
	RuleGrant Rule = "grant"
	// RulePort: what is told apart by its port alone cannot be there twice.
	RulePort Rule = "port"
	// RuleHost: a host belongs to another namespace.
	RuleHost Rule = "host"
	// RuleNamespace: a route would be in a namespace that production does not have.
	RuleNamespace Rule = "namespace"
	// RuleName: a name is not a preview's to use.
	RuleName Rule = "name"
	// RuleCollision: two want the same host or name.
	RuleCollision Rule = "collision"
	// RulePods: nothing in the tree runs for a Service.
	RulePods Rule = "pods"
	// RuleMissing: a workload needs what is not in the tree.
	RuleMissing Rule = "missing"
	// RulePod: a pod would leave its sandbox.
	RulePod Rule = "pod"
	// RuleHeader: a header cannot tell requests apart.
	RuleHeader Rule = "header"
	// RuleImage, RuleSecret, RuleBackend and RuleFilter: a fork may not.
	RuleImage   Rule = "image"
	RuleSecret  Rule = "secret"
	RuleBackend Rule = "backend"
	RuleFilter  Rule = "filter"
)

// Refusal is a part of a change that is left out.
type Refusal struct {
	Rule Rule
	// ID is the object, the zero ID where none is meant.
	ID object.ID
	// Error says what is wrong and where.
	Error *schema.Error
}

// refuse notes a refusal, at the place of a field.
func (p *planner) refuse(rule Rule, o *object.Object, pointer, message string) {
	p.refusals = append(p.refusals, Refusal{Rule: rule, ID: o.ID, Error: &schema.Error{
		Position: o.OriginOf(pointer), Message: o.ID.String() + ": " + message + " (rule " + string(rule) + ")",
	}})
}

func sortRefusals(refusals []Refusal) []Refusal {
	slices.SortStableFunc(refusals, func(a, b Refusal) int {
		return cmp.Or(
			strings.Compare(a.Error.File, b.Error.File), cmp.Compare(a.Error.Line, b.Error.Line), cmp.Compare(a.Error.Column, b.Error.Column),
			object.Compare(a.ID, b.ID), strings.Compare(a.Error.Message, b.Error.Message))
	})
	return slices.CompactFunc(refusals, func(a, b Refusal) bool { return a.ID == b.ID && *a.Error == *b.Error })
}

const gatewayAPI = "gateway.networking.k8s.io"

// role is what a preview does with a kind of object.
type role int

const (
	// alien: nothing.
	alien role = iota
	// route: makes one of its own from it.
	route
	// workload: runs it in its namespace.
	workload
	// supply: takes it along when something there needs it.
	supply
)

var roles = map[[2]string]role{
	{gatewayAPI, "HTTPRoute"}: route, {gatewayAPI, "GRPCRoute"}: route, {gatewayAPI, "TLSRoute"}: route,
	{"apps", "Deployment"}: workload, {"apps", "StatefulSet"}: workload,
	{"", "Service"}: supply, {"", "ConfigMap"}: supply, {"", "Secret"}: supply, {"", "ServiceAccount"}: supply,
	{"", "PersistentVolumeClaim"}: supply, {gatewayAPI, "BackendTLSPolicy"}: supply,
}

func roleOf(id object.ID) role { return roles[[2]string{id.Group, id.Kind}] }

// why says why a kind has no place in a preview.
func why(id object.ID) (Rule, string) {
	switch {
	case id.Group == gatewayAPI && id.Kind == "ReferenceGrant":
		return RuleGrant, "a preview opens nothing of production to anybody; it stays as it is in production"
	case id.Group == gatewayAPI && (id.Kind == "TCPRoute" || id.Kind == "UDPRoute"):
		return RulePort, "connections are told apart by their port alone, and a preview has none of its own; it stays as it is in production"
	case id.Group == "batch":
		return RuleKind, "a preview runs no jobs, which might be at work on what production works on"
	case id.Group == "apps":
		return RuleKind, "a preview runs Deployments and StatefulSets"
	}
	return RuleKind, "a preview is made of routes, workloads and what these need; it stays as it is in production"
}

// screen takes from the change what may be previewed.
func (p *planner) screen(c Change) Change {
	var out Change
	for _, o := range c.Put {
		if p.admits(o) {
			out.Put = append(out.Put, o)
		}
	}
	for _, o := range c.Removed {
		if roleOf(o.ID) != alien {
			out.Removed = append(out.Removed, o)
		} else if rule, message := why(o.ID); p.rules.Fork != nil || o.ID.Group == gatewayAPI {
			p.refuse(rule, o, "", "is removed: "+message)
		}
	}
	return out
}

// admits tells whether an object of the change may be in a preview, and says why not.
func (p *planner) admits(o *object.Object) bool {
	if roleOf(o.ID) == alien {
		rule, message := why(o.ID)
		p.refuse(rule, o, "", message)
		return false
	}
	if p.rules.Fork != nil && !p.forkMay(o) {
		return false
	}
	if roleOf(o.ID) == route {
		return p.admitsRoute(o)
	}
	return true
}

// admitsRoute looks at where a route is and at the hosts it wants.
func (p *planner) admitsRoute(o *object.Object) bool {
	if strings.Contains(o.ID.Name, ".preview-") {
		p.refuse(RuleName, o, "/metadata/name", `the name of a route with ".preview-" in it is one of a preview`)
		return false
	}
	if !p.rules.Local && !p.namespaces[o.ID.Namespace] {
		p.refuse(RuleNamespace, o, "/metadata/namespace", "production has nothing in namespace "+o.ID.Namespace+" yet, and a preview makes no namespace but its own")
		return false
	}
	had := hostnames(p.production.Get(o.ID))
	for i, host := range hostnames(o) {
		owner, has := p.hosts[host]
		if !has || slices.Contains(had, host) || owner.Namespace == o.ID.Namespace {
			continue
		}
		p.refuse(RuleHost, o, pointer("spec", "hostnames", i), "host "+host+" is that of "+owner.String()+", in another namespace")
		return false
	}
	return true
}
