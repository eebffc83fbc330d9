package local

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/model"
	"headgate.dev/proxy/traffic"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// connectionRow is a row of traffic.ListenerRows, whose objects are in set. One that no route answers is where the
// listener is.
func (s *Stack) connectionRow(set *object.Set, l *model.Listener, r traffic.Row) Row {
	local, scheme := s.ports.local(l.ID()), strings.ToLower(string(l.Protocol))
	if chain := chainOf(l, r.Host); chain != nil && chain.Table != "" {
		scheme = "https"
	}
	row := Row{Gateway: l.Gateway.String(), Listener: fmt.Sprintf("%s :%d", scheme, local), Row: r}
	if r.Source.Kind == "" {
		row.From = listenerPlace(set, l, r.Host).String()
		return row
	}
	row.From = originIn(set, r.Source.Kind, types.NamespacedName(r.Source.Name), r.Source.Rule).String()
	switch {
	case r.Host == "*":
		row.URL, row.Resolves = fmt.Sprintf("%s://%s", scheme, s.ports.bind(l.ID())), true
	case !strings.HasPrefix(r.Host, "*"):
		row.URL = fmt.Sprintf("%s://%s:%d", scheme, r.Host, local)
	}
	return row
}

func chainOf(l *model.Listener, serverName string) *model.Chain {
	for i := range l.Chains {
		if l.Chains[i].ServerName == serverName {
			return &l.Chains[i]
		}
	}
	return nil
}

// listenerPlace finds where a Gateway of a set has a listener for a port and a host ("*": any), else where the Gateway is.
func listenerPlace(set *object.Set, l *model.Listener, host string) schema.Position {
	return listenerIn(set, "Gateway", types.NamespacedName(l.Gateway), func(entry map[string]any) bool {
		hostname, _ := entry["hostname"].(string)
		return fmt.Sprint(entry["port"]) == fmt.Sprint(l.Port) && cmp.Or(strings.ToLower(hostname), "*") == host
	})
}

// listenerIn finds where the entry of spec.listeners is that a function knows, else where the object is.
func listenerIn(set *object.Set, kind string, name types.NamespacedName, is func(map[string]any) bool) schema.Position {
	o := set.Get(object.ID{Group: gwv1.GroupName, Kind: kind, Namespace: name.Namespace, Name: name.Name})
	if o == nil {
		return schema.Position{}
	}
	spec, _ := o.Content["spec"].(map[string]any)
	listeners, _ := spec["listeners"].([]any)
	for i, entry := range listeners {
		if entry, ok := entry.(map[string]any); ok && is(entry) {
			return o.OriginOf(fmt.Sprintf("/spec/listeners/%d", i))
		}
	}
	return o.Origin
}
