package traffic

import (
	"fmt"
	"strings"

	"headgate.dev/proxy/model"
)

// ListenerRows lists what a listener does with connections that are not looked up in a table, and how it speaks TLS: a row
// for the port of TCP or UDP, one per server name for TLS. A plain HTTP listener and a nil one have none.
func ListenerRows(l *model.Listener) []Row {
	if l == nil || l.Protocol == model.HTTP {
		return nil
	}
	if l.Protocol != model.TLS {
		return []Row{connectionRow(l, anyHost, strings.ToLower(string(l.Protocol)), l.Forward)}
	}
	rows := make([]Row, 0, len(l.Chains))
	for i := range l.Chains {
		c := &l.Chains[i]
		kind := "tls"
		if c.Table != "" {
			kind = "https"
		}
		r := connectionRow(l, c.ServerName, kind, c.Forward)
		if c.Table != "" {
			r.Answer = "by its hosts"
		}
		r.Details = termination(c.Terminate)
		rows = append(rows, r)
	}
	return rows
}

func connectionRow(l *model.Listener, host, kind string, f *model.L4Forward) Row {
	place := fmt.Sprintf("%s:%d", kind, l.Port)
	r := Row{Listener: place, Host: host, Request: place, Answer: closed(l.Protocol)}
	if f != nil {
		r.Source = f.Source
		list := make([]share, len(f.Shares))
		for i, s := range f.Shares {
			list[i] = share{cluster(s.Cluster, f.Source.Namespace, closed(l.Protocol)), s.Weight}
		}
		r.Answer = shares(list)
	}
	return r
}

// closed is what becomes of what has no backend.
func closed(p model.Protocol) string {
	if p == model.UDP {
		return "dropped"
	}
	return "closed"
}

// termination says how TLS ends; "passed through" where it does not.
func termination(t *model.Termination) []string {
	if t == nil {
		return []string{"TLS is passed through"}
	}
	names := make([]string, len(t.Certificates))
	for i, id := range t.Certificates {
		names[i] = strings.TrimPrefix(string(id), "certificate/")
	}
	d := []string{"certificate " + strings.Join(names, ", ")}
	if c := t.Client; c != nil {
		what := "client certificates required"
		if c.Optional {
			what = "client certificates asked for, not required"
		}
		d = append(d, what+", by "+strings.TrimPrefix(string(c.CA), "ca/"))
	}
	return d
}
