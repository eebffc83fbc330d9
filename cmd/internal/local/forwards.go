package local

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/model"
	"headgate.dev/proxy/traffic"
)

// listForwards lists what becomes of connections and datagrams that are passed on as they are: a row for each listener or
// server name, in the order of the listeners.
func (s *Stack) listForwards() (rows []Row) {
	for _, state := range s.engine.ListListeners() {
		l := state.After
		if l.Forward != nil {
			rows = append(rows, s.forwardRow(l, "*", l.Forward))
		}
		for i := range l.Chains {
			if c := &l.Chains[i]; c.Forward != nil {
				rows = append(rows, s.forwardRow(l, c.ServerName, c.Forward))
			}
		}
	}
	return rows
}

func (s *Stack) forwardRow(l *model.Listener, host string, f *model.L4Forward) Row {
	at, scheme := s.ports.bind(l.ID()), strings.ToLower(string(l.Protocol))
	name := types.NamespacedName(f.Source.Name)
	row := Row{
		Gateway: l.Gateway.String(), Listener: fmt.Sprintf("%s :%d", scheme, at.Port()),
		Row:  traffic.Row{Host: host, Request: "-", Answer: forwarded(f), Source: f.Source},
		From: originIn(s.set, f.Source.Kind, name, f.Source.Rule).String(),
	}
	switch {
	case host == "*":
		row.URL, row.Resolves = fmt.Sprintf("%s://%s", scheme, at), true
	case !strings.HasPrefix(host, "*"):
		row.URL = fmt.Sprintf("%s://%s:%d", scheme, host, at.Port())
	}
	return row
}

// forwarded says where connections go, as rows of requests say it of backends.
func forwarded(f *model.L4Forward) string {
	var total uint32
	for _, sh := range f.Shares {
		total += sh.Weight
	}
	var parts []string
	for _, sh := range f.Shares {
		if sh.Weight == 0 {
			continue
		}
		text := "closed"
		if sh.Cluster != (model.ClusterID{}) {
			service := sh.Cluster.Service.String()
			if sh.Cluster.Service.Namespace == f.Source.Namespace {
				service = sh.Cluster.Service.Name
			}
			text = fmt.Sprintf("%s:%d", service, sh.Cluster.Port)
		}
		if sh.Weight != total {
			text += fmt.Sprintf(" (%.4g %%)", 100*float64(sh.Weight)/float64(total))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// diffForwards compares the rows of listeners and server names.
func diffForwards(before, after []Row) (changes []Change) {
	same := func(a *Row) func(Row) bool {
		return func(b Row) bool {
			return a.Gateway == b.Gateway && a.Listener == b.Listener && a.Row.Host == b.Row.Host
		}
	}
	for i := range before {
		if !slices.ContainsFunc(after, same(&before[i])) {
			changes = append(changes, Change{Before: &before[i]})
		}
	}
	for i := range after {
		j := slices.IndexFunc(before, same(&after[i]))
		switch {
		case j < 0:
			changes = append(changes, Change{After: &after[i]})
		case before[j].Row.Answer != after[i].Row.Answer:
			changes = append(changes, Change{Before: &before[j], After: &after[i]})
		}
	}
	return changes
}
