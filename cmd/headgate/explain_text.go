package main

import (
	"fmt"
	"slices"
	"strings"

	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/narrow"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/proxy/traffic"
)

func (f *explainFlags) text(s streams, stack *local.Stack, answers []local.Explanation) {
	fmt.Fprintln(s.out, s.style().Bold(safe(f.title(answers))))
	if noHost(answers) {
		fmt.Fprint(s.out, term.Fit(2, f.nowhere(stack, answers)))
		return
	}
	for i := range answers {
		if i > 0 {
			fmt.Fprintln(s.out)
		}
		fmt.Fprint(s.out, term.Fit(2, f.explained(&answers[i])))
	}
}

// title is what was asked, as far as it matters to those who answer.
func (f *explainFlags) title(answers []local.Explanation) string {
	q := &f.query
	if len(answers) > 0 && !speaksHTTP(answers) {
		title := strings.ToLower(answers[0].Listener.Protocol) + " connection"
		if answers[0].Listener.Protocol == "UDP" {
			title = "udp datagram"
		}
		title += fmt.Sprintf(" to port %d", answers[0].Listener.Port)
		if speaksTLS(answers) {
			title += ", " + serverName(q.ServerName)
		}
		return title
	}
	if q.Host == "" {
		return strings.TrimSpace(q.Scheme + strings.TrimSuffix(fmt.Sprintf(" port %d", q.Port), " port 0"))
	}
	title := q.Host + " " + q.Method + " " + q.Path
	if f.grpc != "" {
		title = q.Host + " gRPC " + f.grpc
	}
	var list []string
	for i := range f.headers {
		list = append(list, q.Headers[i].Name+": "+q.Headers[i].Value)
	}
	if len(list) > 0 {
		title += "  (" + strings.Join(list, ", ") + ")"
	}
	return title
}

func serverName(name string) string {
	if name == "" {
		return "without a server name"
	}
	return "server name " + name
}

// safe makes foreign text fit for a terminal.
func safe(text string) string { return term.Safe(text, 400) }

// nowhere says that no route has the host, and which hosts there are.
func (f *explainFlags) nowhere(stack *local.Stack, answers []local.Explanation) [][]string {
	hosts, ports := stack.Hosts()
	if len(answers) == 0 {
		return [][]string{{"answer", "none: " + f.noListener(ports)}}
	}
	rows := [][]string{{"answer", "404: " + answers[0].Reason}}
	if _, routes := stack.Count(); routes > local.MaxAliases && strings.HasSuffix(f.query.ServerName, ".localhost") {
		rows = append(rows, []string{"", fmt.Sprintf("`headgate up` makes NAME.localhost for trees of up to %d routes; this one has %d", local.MaxAliases, routes)})
	}
	if slices.Contains(hosts, f.query.ServerName) {
		return rows // that is not what is wrong
	}
	if near := narrow.Nearest(f.query.Host, hosts, nearHosts); len(near) > 0 {
		more := ""
		if all := max(len(f.hosts), len(hosts)); all > len(near) {
			more = fmt.Sprintf(" and %d more", all-len(near))
		}
		rows = append(rows, []string{"hosts", strings.Join(near, ", ") + more})
	}
	return rows
}

func (f *explainFlags) noListener(ports []int32) string {
	if len(ports) == 0 {
		return "there is no listener: no route of the tree names a Gateway that is served here"
	}
	what := "no listener"
	if f.query.Scheme != "" {
		what += " speaks " + f.query.Scheme
		if f.query.Port != 0 {
			what += fmt.Sprintf(" at port %d", f.query.Port)
		}
	} else {
		what += fmt.Sprintf(" has port %d", f.query.Port)
	}
	what += "; there are " + strings.Trim(strings.ReplaceAll(fmt.Sprint(ports), " ", ", "), "[]")
	for _, port := range ports {
		if f.query.Port != port && int32(local.DefaultPort(port)) == f.query.Port {
			what += fmt.Sprintf(" (%d is where `headgate up` has %d: write --port %d)", f.query.Port, port, port)
		}
	}
	return what
}

// explained is the answer of one listener, in columns: what, text, place.
func (f *explainFlags) explained(e *local.Explanation) [][]string {
	rows := [][]string{{"listener", listenerName(&e.Listener), e.Listener.From}}
	if e.ServerName != "" && (e.Status == 421 || e.Listener.Protocol == "HTTPS" && f.query.ServerName != traffic.ServerName(f.query.Host)) {
		rows = append(rows, []string{"tls", serverName(f.query.ServerName) + ": the listener for " + e.ServerName})
	}
	if e.Rule != nil {
		rows = append(rows, []string{"route", ruleName(e.Rule), e.Rule.From})
		if e.Rule.Alias {
			rows = append(rows, []string{"alias", safe(fmt.Sprintf("`headgate up` makes %s for it; a cluster does not have that host", e.Host))})
		}
	}
	if text := ownAnswer(e); text != "" {
		rows = append(rows, []string{"answer", text})
	} else {
		rows = append(rows, answers(e.Rule)...)
	}
	return append(rows, reasons(e)...)
}

// ownAnswer is the answer that no route gives; empty where one does.
func ownAnswer(e *local.Explanation) string {
	switch {
	case e.Closed && e.Listener.Protocol == "UDP":
		return "the datagram is dropped: " + safe(e.Reason)
	case e.Closed:
		return "the connection is closed: " + safe(e.Reason)
	case e.GRPCStatus != "":
		return e.GRPCStatus + ": " + safe(e.Reason)
	case e.Status != 0:
		return strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, safe(e.Location))) + ": " + safe(e.Reason)
	}
	return ""
}

func listenerName(l *local.Listener) string {
	name := l.Gateway
	if l.Set != "" {
		name += " by " + l.Set
	}
	if l.Name != "" {
		name += "/" + l.Name
	}
	where := fmt.Sprintf("port %d", l.Port)
	if l.Protocol != "HTTP" {
		where = fmt.Sprintf("%s %d", l.Protocol, l.Port)
	}
	if l.Protocol != "TCP" && l.Protocol != "UDP" {
		where += ", host " + l.Host
	}
	return fmt.Sprintf("%s (%s)", name, where)
}

func ruleName(r *local.Rule) string {
	name := fmt.Sprintf("%s, rule %d", r.Object, r.Index)
	if r.Name != "" {
		name += fmt.Sprintf(" %q", r.Name)
	}
	return name
}

// answers says what a rule answers with: its backends, or whatever else.
func answers(r *local.Rule) [][]string {
	var rows [][]string
	word := "backend"
	for _, b := range r.Backends {
		text := "no valid backend"
		if b.Service != "" {
			text = fmt.Sprintf("%s:%d", b.Service, b.Port)
		}
		rows = append(rows, []string{word, fmt.Sprintf("%s (%.4g %%)", text, b.Percent)})
		word = ""
	}
	if len(rows) == 0 {
		text := safe(r.Answer)
		if r.Problem != "" {
			text += ": " + safe(r.Problem)
		}
		rows = append(rows, []string{"answer", text})
	}
	word = "also"
	for _, d := range r.Details {
		rows = append(rows, []string{word, safe(d)})
		word = ""
	}
	return rows
}

// otherRules is how many rules that do not match are listed where none does.
const otherRules = 20

// reasons says why the rule took the request, and of others why they did not.
func reasons(e *local.Explanation) [][]string {
	if e.Rule == nil {
		rows := [][]string{}
		word := "rules"
		for i := range e.Others {
			if i == otherRules {
				return append(rows, []string{"", fmt.Sprintf("and %d more", len(e.Others)-i)})
			}
			o := &e.Others[i]
			rows = append(rows, []string{word, safe(fmt.Sprintf("%s (%s)", runnerUp(e, o), o.Why)), o.From})
			word = ""
		}
		return rows
	}
	why := e.Rule.Why
	if e.Rule.Problem != "" && e.Closed {
		why += "; " + e.Rule.Problem
	}
	switch n := len(e.RunnersUp); {
	case n == 1:
		why += "; 1 other rule matches:"
	case n > 1:
		why += fmt.Sprintf("; %d other rules match:", n)
	}
	rows := [][]string{{"why", safe(why)}}
	for i := range e.RunnersUp {
		r := &e.RunnersUp[i]
		rows = append(rows, []string{"", safe(fmt.Sprintf("%s (%s)", runnerUp(e, r), r.Why)), r.From})
	}
	return rows
}

// runnerUp names a rule; the object too, where it is another one.
func runnerUp(e *local.Explanation, r *local.Rule) string {
	if e.Rule != nil && e.Rule.Object == r.Object {
		return fmt.Sprintf("rule %d %s", r.Index, r.Request)
	}
	return fmt.Sprintf("%s rule %d %s", r.Object, r.Index, r.Request)
}
