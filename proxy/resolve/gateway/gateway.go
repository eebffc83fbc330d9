package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/condition"
)

// Resolve applies the rules of a Gateway. It does not ask whose class it is. A Gateway that does not exist gives nil.
func Resolve(s *kube.Snapshot, name types.NamespacedName) *Result {
	o := s.Gateway(name)
	if o == nil {
		return nil
	}
	g := &Result{Name: name, Generation: o.Generation, Addresses: o.Spec.Addresses, takesSets: o.Spec.AllowedListeners != nil}
	repeated := g.listeners(o.Spec.Listeners)
	g.listenerSets(s, o)
	g.conflicts()
	t := newTLSRules(s, o)
	for _, l := range g.all {
		t.listener(l)
	}
	reason, message := unsupportedFields(o)
	for _, l := range g.all {
		l.finish(reason == "")
		l.serve(g.Name)
	}
	g.overlaps()
	g.sockets(t)
	g.Conditions = g.conditions(repeated)
	if reason != "" {
		g.Conditions[0] = condition.False(gwv1.GatewayConditionAccepted, reason, message)
	}
	if config, ok := kube.ConfigOfGateway(o); ok && s.ProxyConfig(config) == nil {
		g.Conditions[0] = condition.False(gwv1.GatewayConditionAccepted, gwv1.GatewayReasonInvalidParameters, missingParameters(configField, config))
	}
	g.Conditions = append(g.Conditions, g.resolvedRefs(t))
	if t.insecure != "" {
		g.Conditions = append(g.Conditions, condition.True(gwv1.GatewayConditionInsecureFrontendValidationMode,
			gwv1.GatewayReasonConfigurationChanged, t.insecure+" is AllowInsecureFallback: clients without a good certificate are let in"))
	}
	for i := range g.Sets {
		g.Sets[i].finish(reason == "")
	}
	return g
}

// listeners resolves each entry of spec.listeners by itself. Names are unique in a valid Gateway; the first of each counts,
// and repeated names are returned for the Gateway's condition.
func (g *Result) listeners(specs []gwv1.Listener) (repeated []string) {
	g.Listeners = make([]Listener, 0, len(specs))
	for i := range specs {
		if g.Listener(string(specs[i].Name)) != nil {
			repeated = append(repeated, string(specs[i].Name))
			continue
		}
		g.Listeners = append(g.Listeners, newListener(&specs[i], g.Name.Namespace))
	}
	for i := range g.Listeners {
		g.all = append(g.all, &g.Listeners[i])
	}
	return repeated
}

// conditions gives the Gateway's conditions Accepted and Programmed.
func (g *Result) conditions(repeated []string) []condition.Condition {
	good, bad := 0, repeatedNames(repeated)
	for i := range g.Listeners {
		if !g.Listeners[i].accepted() {
			bad = append(bad, g.Listeners[i].Name)
		}
	}
	for _, l := range g.all {
		if l.accepted() {
			good++
		}
	}
	accepted := condition.True(gwv1.GatewayConditionAccepted, gwv1.GatewayReasonAccepted, "every listener is accepted")
	if len(bad) > 0 || good == 0 {
		message := "listeners that are not accepted: " + strings.Join(bad, ", ") + "; see their conditions"
		if len(g.Listeners) == 0 {
			message = "spec.listeners is empty; add a listener"
		}
		accepted = condition.True(gwv1.GatewayConditionAccepted, gwv1.GatewayReasonListenersNotValid, message)
		if good == 0 {
			accepted = condition.False(gwv1.GatewayConditionAccepted, gwv1.GatewayReasonListenersNotValid, message)
		}
	}
	programmed := condition.True(gwv1.GatewayConditionProgrammed, gwv1.GatewayReasonProgrammed, "the configuration is with the proxies")
	if len(g.Sockets) == 0 {
		programmed = condition.False(gwv1.GatewayConditionProgrammed, gwv1.GatewayReasonInvalid,
			"no listener can be served; see the condition Accepted and those of the listeners")
	}
	return []condition.Condition{accepted, programmed}
}

// resolvedRefs gives the Gateway's condition about its own references, which sums those of its listeners up.
func (g *Result) resolvedRefs(t *tlsRules) condition.Condition {
	if t.client.message != "" {
		return condition.False(gwv1.GatewayConditionResolvedRefs, t.client.reason, t.client.message)
	}
	var bad []string
	for i := range g.Listeners {
		if !condition.Is(g.Listeners[i].Conditions, gwv1.ListenerConditionResolvedRefs) {
			bad = append(bad, g.Listeners[i].Name)
		}
	}
	if len(bad) > 0 {
		return condition.False(gwv1.GatewayConditionResolvedRefs, gwv1.GatewayReasonListenersNotResolved,
			"listeners with references that are not resolved: "+strings.Join(bad, ", ")+"; see their conditions")
	}
	return condition.True(gwv1.GatewayConditionResolvedRefs, gwv1.GatewayReasonResolvedRefs, "every reference is resolved")
}

func repeatedNames(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n + " (the name is used twice)"
	}
	return out
}

const configField = "spec.infrastructure.parametersRef"

// unsupportedFields finds what the Gateway asks for as a whole and cannot have.
func unsupportedFields(o *gwv1.Gateway) (gwv1.GatewayConditionReason, string) {
	if inf := o.Spec.Infrastructure; inf != nil && inf.ParametersRef != nil {
		if _, ok := kube.ConfigOfGateway(o); !ok {
			return gwv1.GatewayReasonInvalidParameters,
				unsupportedParameters(configField, string(inf.ParametersRef.Group), string(inf.ParametersRef.Kind))
		}
	}
	for i := range o.Spec.Addresses {
		t := o.Spec.Addresses[i].Type
		if t != nil && *t != gwv1.IPAddressType && *t != gwv1.HostnameAddressType {
			return gwv1.GatewayReasonUnsupportedAddress, fmt.Sprintf(
				"spec.addresses[%d]: type %q is not supported; write IPAddress or Hostname", i, *t)
		}
	}
	return "", ""
}

// sockets collects what the usable listeners share: their ports, their tables, the hosts that exist because a listener names
// them, and the secrets.
func (g *Result) sockets(t *tlsRules) {
	byID := map[model.ListenerID]*model.Listener{}
	for _, l := range g.all {
		if !l.Usable {
			continue
		}
		s := byID[l.Socket(g.Name)]
		if s == nil {
			s = &model.Listener{Gateway: model.Name(g.Name), Port: l.Port, Protocol: l.Protocol}
			byID[l.Socket(g.Name)] = s
			g.Sockets = append(g.Sockets, s)
		}
		switch l.Protocol {
		case model.HTTP:
			if s.Table == "" {
				g.table(l, nil)
			}
			s.Table = l.Table
		case model.HTTPS, model.TLS:
			s.Protocol = model.TLS
			s.Chains = append(s.Chains, model.Chain{ServerName: l.ServerName(), Terminate: l.Terminate, Table: l.Table})
		}
		if l.Protocol == model.HTTPS {
			g.table(l, g.misdirected(l))
		}
		if l.Table != "" {
			g.Hosts = append(g.Hosts, model.HostID{Table: l.Table, Name: l.ServerName()})
		}
		t.use(l)
	}
	for _, s := range g.Sockets {
		slices.SortFunc(s.Chains, func(a, b model.Chain) int { return cmp.Compare(a.ServerName, b.ServerName) })
	}
	slices.SortFunc(g.Hosts, CompareHosts)
	slices.SortFunc(g.Tables, func(a, b *model.Table) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(g.Sockets, func(a, b *model.Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol)) // UDP is the last of all
	})
	g.BackendClient = t.clientID()
	g.Secrets = t.secrets()
}

func (g *Result) table(l *Listener, misdirected []string) {
	g.Tables = append(g.Tables, &model.Table{
		ID: l.Table, Gateway: model.Name(g.Name), Port: l.Port, Protocol: l.Protocol, Misdirected: misdirected,
	})
}

// misdirected lists the hostnames of the other HTTPS listeners of the port.
func (g *Result) misdirected(l *Listener) []string {
	var out []string
	for _, other := range g.all {
		if other != l && other.Usable && other.Port == l.Port && other.Protocol == model.HTTPS {
			out = append(out, other.ServerName())
		}
	}
	slices.Sort(out)
	return out
}

// Socket finds the socket of that name; nil when it is not open.
func (g *Result) Socket(id model.ListenerID) *model.Listener {
	for _, s := range g.Sockets {
		if s.ID() == id {
			return s
		}
	}
	return nil
}

// Table finds the table of that name; nil when there is none.
func (g *Result) Table(id model.TableID) *model.Table {
	i, found := slices.BinarySearchFunc(g.Tables, id, func(t *model.Table, id model.TableID) int { return cmp.Compare(t.ID, id) })
	if !found {
		return nil
	}
	return g.Tables[i]
}

// CompareHosts orders by table and name.
func CompareHosts(a, b model.HostID) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Name, b.Name))
}
