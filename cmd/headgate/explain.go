package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/traffic"
	"headgate.dev/render"
	"headgate.dev/render/object"
)

type explainFlags struct {
	treeFlags
	request traffic.Request
	headers []string
	port    int32
	output  string
}

func explainCommand(s streams) *cobra.Command {
	f := explainFlags{output: "text"}
	c := &cobra.Command{
		Use:   "explain [DIR] --host HOST",
		Short: "Say which route and backend take a request, and why",
		Long: `Say what becomes of one request: which listener, route, rule and backend take it, from which file and line,
and of every other rule that matches too, why it lost. Where nothing matches: what each rule of the host asks for,
or which hosts there are. Nothing is served; the answer is computed from the routing that would be.

The saved files of DIR (default: the current directory) are read; --ref reads a commit instead.`,
		Example: `  headgate explain --host shop.localhost --path /api/cart --header x-ring=beta
  headgate explain deploy/prod --host shop.example.com --method POST -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), s, args) },
	}
	f.add(c)
	flags := c.Flags()
	flags.StringVar(&f.request.Host, "host", "", "the Host header, with a port or without")
	flags.StringVar(&f.request.Path, "path", "/", "the path, with the query behind a ?")
	flags.StringVar(&f.request.Method, "method", "GET", "the method")
	flags.StringArrayVar(&f.headers, "header", nil, "NAME=VALUE: a header (may be repeated)")
	flags.Int32Var(&f.port, "port", 0, "the listener's port, as the Gateway names it (default: every port)")
	flags.StringVarP(&f.output, "output", "o", f.output, "text or json")
	mustComplete(c, "output", "text", "json")
	return c
}

func (f *explainFlags) run(ctx context.Context, s streams, args []string) error {
	if err := f.check(); err != nil {
		return err
	}
	result, err := f.render(ctx, args)
	if err != nil {
		return err
	}
	stack, err := detached(ctx, result)
	if err != nil {
		return err
	}
	defer stack.Close()
	answers := stack.Explain(f.request, f.port)
	if f.output == "json" {
		return f.json(s, stack, answers)
	}
	f.text(s, stack, answers)
	return nil
}

func (f *explainFlags) check() error {
	if err := oneOf("output", f.output, "text", "json"); err != nil {
		return err
	}
	switch {
	case f.request.Host == "":
		return usageError{errors.New("--host is missing: which host is asked for?")}
	case !strings.HasPrefix(f.request.Path, "/"):
		return usageError{fmt.Errorf("--path %q: expected a path that begins with /", f.request.Path)}
	case f.port < 0 || f.port > 65535:
		return usageError{fmt.Errorf("--port %d: expected a port from 1 to 65535", f.port)}
	}
	for _, h := range f.headers {
		name, value, found := strings.Cut(h, "=")
		if !found || name == "" {
			return usageError{fmt.Errorf("--header %q: expected NAME=VALUE, as in x-ring=beta", h)}
		}
		f.request.Headers = append(f.request.Headers, model.Header{Name: name, Value: value})
	}
	return nil
}

// detached makes a Stack that holds what was rendered and serves nothing.
func detached(ctx context.Context, r render.Result) (*local.Stack, error) {
	stack, err := local.New(local.Options{Detached: true})
	if err != nil {
		return nil, err
	}
	change := agent.Change{Set: r.Set}
	change.Put, _ = object.Diff(nil, r.Set)
	if err := stack.Apply(ctx, change); err != nil {
		return nil, errors.Join(err, stack.Close())
	}
	return stack, nil
}

// nearHosts is how many hosts are named where the one asked for does not exist.
const nearHosts = 5

func (f *explainFlags) json(s streams, stack *local.Stack, answers []local.Explanation) error {
	out := struct {
		Host      string              `json:"host"`
		Method    string              `json:"method"`
		Path      string              `json:"path"`
		Listeners []local.Explanation `json:"listeners"`
		Nearest   []string            `json:"nearestHosts,omitempty"`
	}{f.request.Host, f.request.Method, f.request.Path, answers, nil}
	if noHost(answers) {
		hosts, _ := stack.Hosts()
		out.Nearest = local.Nearest(f.request.Host, hosts, nearHosts)
	}
	if answers == nil {
		out.Listeners = []local.Explanation{}
	}
	encoder := json.NewEncoder(s.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}

// noHost tells whether no listener has the host.
func noHost(answers []local.Explanation) bool {
	for i := range answers {
		if answers[i].Rule != nil || len(answers[i].Others) > 0 || answers[i].Status != 404 {
			return false
		}
	}
	return true
}

func (f *explainFlags) text(s streams, stack *local.Stack, answers []local.Explanation) {
	title := f.request.Host + " " + f.request.Method + " " + f.request.Path
	if len(f.headers) > 0 {
		var list []string
		for _, h := range f.request.Headers {
			list = append(list, h.Name+": "+h.Value)
		}
		title += "  (" + strings.Join(list, ", ") + ")"
	}
	fmt.Fprintln(s.out, s.style().Bold(safe(title)))
	var rows [][]string
	if noHost(answers) {
		rows = f.nowhere(stack, answers)
	} else {
		for i := range answers {
			rows = append(rows, explained(&answers[i])...)
		}
	}
	fmt.Fprint(s.out, term.Table(2, rows))
}

// safe makes foreign text fit for a terminal.
func safe(text string) string { return term.Safe(text, 400) }

// nowhere says that no route has the host, and which hosts there are.
func (f *explainFlags) nowhere(stack *local.Stack, answers []local.Explanation) [][]string {
	hosts, ports := stack.Hosts()
	if len(answers) == 0 {
		why := "there is no listener: no route of the tree names a Gateway that is served here"
		if len(ports) > 0 {
			why = fmt.Sprintf("no listener has port %d; there are %s", f.port, strings.Trim(fmt.Sprint(ports), "[]"))
		}
		return [][]string{{"answer", "none: " + why}}
	}
	rows := [][]string{{"answer", "404: " + answers[0].Reason}}
	if near := local.Nearest(f.request.Host, hosts, nearHosts); len(near) > 0 {
		more := ""
		if len(hosts) > len(near) {
			more = fmt.Sprintf(" and %d more", len(hosts)-len(near))
		}
		rows = append(rows, []string{"hosts", strings.Join(near, ", ") + more})
	}
	return rows
}

// explained is the answer of one listener, in columns: what, text, place.
func explained(e *local.Explanation) [][]string {
	l := &e.Listener
	name := l.Gateway
	if l.Name != "" {
		name += "/" + l.Name
	}
	rows := [][]string{{"listener", fmt.Sprintf("%s (port %d, host %s)", name, l.Port, l.Host), l.From}}
	if e.Rule != nil {
		rows = append(rows, []string{"route", ruleName(e.Rule), e.Rule.From})
	}
	if e.Status != 0 {
		rows = append(rows, []string{"answer", strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, safe(e.Location))) + ": " + e.Reason})
	} else {
		rows = append(rows, answers(e.Rule)...)
	}
	return append(rows, reasons(e)...)
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
		text := "no valid backend, 500"
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
