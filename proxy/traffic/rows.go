// Package traffic says in words what the model does with requests: a Row is one line of a routing table as people
// read it (host, path → backend), a Change is a row before and after.
//
// Rows use the notation of service specs, so that what is printed can be written: "/api" is a prefix, "=/x" an exact
// path, "~/x[0-9]+" a regular expression, "gRPC shop.v1.Cart/*" the calls of a service.
package traffic

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"headgate.dev/proxy/model"
)

// Row is what happens to the requests of one host that match.
type Row struct {
	// Listener is where the requests arrive: "http:80", "https:443", with the server name of the connection behind it where
	// that is not the host ("https:443 *.shop.test"), "tcp:5432", "udp:53", "tls:443".
	Listener string `json:"listener"`
	// Host is the hostname; the server name of a connection that is no HTTP, "*" without any.
	Host string `json:"host"`
	// Request is the match: "/api", "GET =/x", "/api x-ring: beta", "gRPC shop.v1.Cart/Add"; the Listener where nothing more is
	// asked for.
	Request string `json:"request"`
	// Answer is the backend with its share ("shop:8080 (90 %), shop-v2:8080 (10 %)"), the redirect ("308 /new") or
	// the status ("500"; "UNAVAILABLE" for gRPC, "closed" for connections). The namespace of a backend is left out where it is the route's own.
	Answer string `json:"answer"`
	// Details are the other things the route does, one each: "timeout 5s", "set x-a: b".
	Details []string     `json:"details,omitempty"`
	Source  model.Source `json:"-"`
}

// Rows lists the routes of a host in the order in which they are tried. A nil host has none.
func Rows(h *model.Host) []Row {
	if h == nil {
		return nil
	}
	rows := make([]Row, len(h.Routes))
	listener := listenerOf(h)
	for i := range h.Routes {
		rows[i] = row(listener, h, &h.Routes[i])
	}
	return rows
}

// listenerOf is the Listener of a host's rows.
func listenerOf(h *model.Host) string {
	if h.Protocol != model.HTTPS {
		return fmt.Sprintf("http:%d", h.Port)
	}
	table := string(h.ID.Table)
	serverName := table[strings.LastIndexByte(table, '/')+1:]
	if serverName == h.ID.Name {
		return fmt.Sprintf("https:%d", h.Port)
	}
	return fmt.Sprintf("https:%d %s", h.Port, serverName)
}

// RowOf is the row of one route of a host.
func RowOf(h *model.Host, r *model.Route) Row { return row(listenerOf(h), h, r) }

func row(listener string, h *model.Host, r *model.Route) Row {
	return Row{
		Listener: listener, Host: h.ID.Name, Request: request(&r.Match), Answer: answer(h, r), Details: details(r), Source: r.Source,
	}
}

func request(m *model.Match) string {
	var parts []string
	if m.Method != "" {
		parts = append(parts, m.Method)
	}
	if m.GRPC {
		parts = append(parts, "gRPC", grpcRequest(m))
	} else {
		parts = append(parts, [...]string{model.PathPrefix: "", model.PathExact: "=", model.PathRegex: "~"}[m.PathKind]+m.Path)
	}
	for _, h := range m.Headers {
		parts = append(parts, h.Name+": "+value(h))
	}
	for _, q := range m.Query {
		parts = append(parts, "?"+q.Name+"="+value(q))
	}
	return strings.Join(parts, " ")
}

func value(m model.ValueMatch) string {
	if m.Regex {
		return "~" + m.Value
	}
	return m.Value
}

func answer(h *model.Host, r *model.Route) string {
	switch {
	case r.Redirect != nil:
		return redirect(h, r)
	case r.Forward != nil:
		return backends(r)
	default:
		return statusText(r.Status, r.Match.GRPC)
	}
}

// redirect is the address that a client is sent to: a path alone where that is all that changes. "/..." is the path asked for.
func redirect(h *model.Host, r *model.Route) string {
	to := r.Redirect
	path := "/..."
	switch {
	case to.Path != nil:
		path = pathEdit(to.Path)
	case r.Match.PathKind == model.PathExact:
		path = r.Match.Path
	}
	if to.Scheme == "" && to.Host == "" && to.Port == 0 {
		return fmt.Sprintf("%d %s", to.Code, path)
	}
	scheme := "http"
	if h.Protocol == model.HTTPS {
		scheme = "https"
	}
	target := cmp.Or(to.Scheme, scheme) + "://" + cmp.Or(to.Host, h.ID.Name)
	if to.Port != 0 {
		target += fmt.Sprintf(":%d", to.Port)
	}
	return fmt.Sprintf("%d %s%s", to.Code, target, path)
}

func pathEdit(p *model.PathEdit) string {
	if p.Prefix {
		return strings.TrimSuffix(p.Value, "/") + "/*"
	}
	return p.Value
}

func backends(r *model.Route) string {
	list := make([]share, len(r.Forward.Backends))
	for i := range r.Forward.Backends {
		b := &r.Forward.Backends[i]
		list[i] = share{cluster(b.Cluster, r.Source.Namespace, noBackend(&r.Match)), b.Weight}
	}
	return shares(list)
}

// share is one backend with its weight.
type share struct {
	to     string
	weight uint32
}

func shares(list []share) string {
	var total uint64
	for _, s := range list {
		total += uint64(s.weight)
	}
	var parts []string
	for _, s := range list {
		if s.weight == 0 {
			continue
		}
		if uint64(s.weight) != total {
			s.to += fmt.Sprintf(" (%.4g %%)", 100*float64(s.weight)/float64(total))
		}
		parts = append(parts, s.to)
	}
	return strings.Join(parts, ", ")
}

// noBackend is what a share without a valid backend answers.
func noBackend(m *model.Match) string {
	if m.GRPC {
		return statusText(503, true)
	}
	return "500"
}

// cluster names a backend; none is what stands for the lack of one.
func cluster(c model.ClusterID, namespace, none string) string {
	if c == (model.ClusterID{}) {
		return none
	}
	name := c.Service.String()
	if c.Service.Namespace == namespace {
		name = c.Service.Name
	}
	return fmt.Sprintf("%s:%d", name, c.Port)
}

func details(r *model.Route) []string {
	d := edits(nil, "", r.RequestHeaders)
	d = edits(d, "answer ", r.ResponseHeaders)
	if r.CORS != nil {
		d = append(d, "CORS "+strings.Join(r.CORS.Origins, " "))
	}
	if r.Forward != nil {
		d = forward(d, r)
	}
	return d
}

func forward(d []string, r *model.Route) []string {
	f, none := r.Forward, noBackend(&r.Match)
	d = rewrite(d, "", f.Rewrite)
	d = duration(d, "timeout", f.Timeout)
	d = duration(d, "backend timeout", f.BackendTimeout)
	if f.Retry != nil {
		d = append(d, fmt.Sprintf("retry %d", f.Retry.Attempts)+codes(f.Retry.Codes))
	}
	for _, m := range f.Mirrors {
		d = append(d, fmt.Sprintf("mirror %.4g %% to %s", 100*float64(m.Numerator)/float64(m.Denominator),
			cluster(m.Cluster, r.Source.Namespace, "nowhere")))
	}
	for i := range f.Backends {
		b := &f.Backends[i]
		to := cluster(b.Cluster, r.Source.Namespace, none) + ": "
		d = edits(d, to, b.RequestHeaders)
		d = edits(d, to+"answer ", b.ResponseHeaders)
		d = rewrite(d, to, b.Rewrite)
	}
	return d
}

func codes(cs []int) string {
	if len(cs) == 0 {
		return ""
	}
	return " on " + strings.Trim(fmt.Sprint(cs), "[]")
}

func duration(d []string, name string, t *time.Duration) []string {
	if t == nil {
		return d
	}
	return append(d, name+" "+t.String())
}

func rewrite(d []string, prefix string, r *model.Rewrite) []string {
	if r == nil {
		return d
	}
	target := r.Host
	if r.Path != nil {
		target += pathEdit(r.Path)
	}
	return append(d, prefix+"rewrite "+target)
}

func edits(d []string, prefix string, e *model.HeaderEdit) []string {
	if e == nil {
		return d
	}
	for _, name := range e.Remove {
		d = append(d, prefix+"remove "+name)
	}
	for _, h := range e.Set {
		d = append(d, prefix+"set "+h.Name+": "+h.Value)
	}
	for _, h := range e.Add {
		d = append(d, prefix+"add "+h.Name+": "+h.Value)
	}
	return d
}
