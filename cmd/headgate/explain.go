package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/narrow"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/traffic"
	"headgate.dev/render/admit"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

type explainFlags struct {
	treeFlags
	query   local.Query
	headers []string
	grpc    string
	output  string
	hosts   []string // that the routes of the tree name; known where the one asked for is nowhere
}

func explainCommand(s streams) *cobra.Command {
	f := explainFlags{output: "text"}
	c := &cobra.Command{
		Use:   "explain [DIR] --host HOST",
		Short: "Say which route and backend take a request, and why",
		Long: `Say what becomes of one request: which listener, route, rule and backend take it, from which file and line,
and of every other rule that matches too, why it lost. Where nothing matches: what each rule of the host asks for,
or which hosts there are. Nothing is served; the answer is computed from the routing that would be.

Without --port and --scheme the request arrives by plain HTTP, or by HTTPS or TLS where the host is only there. With
them, it arrives at that port of a Gateway, and --host may be left out for TCP and UDP.

The saved files of DIR (default: the current directory) are read; --ref reads a commit instead.`,
		Example: `  headgate explain --host shop.localhost --path /api/cart --header x-ring=beta
  headgate explain deploy/prod --host shop.example.com --scheme https --method POST -o json
  headgate explain --host cart.example.com --grpc shop.v1.Cart/Add
  headgate explain --port 5432`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, s, args) },
	}
	f.add(c)
	flags := c.Flags()
	flags.StringVar(&f.query.Host, "host", "", "the Host header, with a port or without")
	flags.StringVar(&f.query.Path, "path", "/", "the path, with the query behind a ?")
	flags.StringVar(&f.query.Method, "method", "GET", "the method")
	flags.StringArrayVar(&f.headers, "header", nil, "NAME=VALUE: a header (may be repeated)")
	flags.StringVar(&f.grpc, "grpc", "", "SERVICE/METHOD: a call of gRPC, in the place of path and method")
	flags.Int32Var(&f.query.Port, "port", 0, "the listener's port, as the Gateway names it")
	flags.StringVar(&f.query.Scheme, "scheme", "", "what the client speaks: http, https, tls, tcp or udp")
	flags.StringVar(&f.query.ServerName, "sni", "", "the server name of the TLS connection (default: the host)")
	flags.StringVarP(&f.output, "output", "o", f.output, "text or json")
	mustComplete(c, "output", "text", "json")
	mustComplete(c, "scheme", "http", "https", "tls", "tcp", "udp")
	return c
}

func (f *explainFlags) run(cmd *cobra.Command, s streams, args []string) error {
	if err := f.prepare(cmd.Flags()); err != nil {
		return err
	}
	endsSoon()
	f.unadmitted = true
	go admit.Prepare("HTTPRoute", "Gateway") // beside reading
	result, err := f.render(cmd.Context(), args)
	if err != nil {
		return err
	}
	stack, answers, err := f.ask(cmd.Context(), result.Set)
	if err != nil {
		return err
	}
	defer stack.Close()
	if err := admitted(concerned(result.Set, answers)); err != nil {
		return err
	}
	for i := range answers {
		if l := &answers[i].Listener; f.query.Host == "" && !answers[i].Closed && (l.Protocol == "HTTP" || l.Protocol == "HTTPS") {
			return usageError{fmt.Errorf("--host is missing: port %d speaks %s", l.Port, l.Protocol)}
		}
	}
	if f.output == "json" {
		return f.json(s, stack, answers)
	}
	f.text(s, stack, answers)
	return nil
}

// concerned lists the objects of a set that answers are about, and all Gateways, by which requests arrive.
func concerned(set *object.Set, answers []local.Explanation) (out []*object.Object) {
	named := map[string]bool{}
	for i := range answers {
		if answers[i].Rule != nil {
			named[answers[i].Rule.Object] = true
		}
		for _, r := range slices.Concat(answers[i].RunnersUp, answers[i].Others) {
			named[r.Object] = true
		}
	}
	for o := range set.All() {
		if o.ID.Kind == "Gateway" || o.ID.Kind == "ListenerSet" || named[o.ID.Kind+" "+o.ID.Namespace+"/"+o.ID.Name] {
			out = append(out, o)
		}
	}
	return out
}

// admitted says what an API server would refuse of objects.
func admitted(objects []*object.Object) error {
	var errs schema.Errors
	for _, o := range objects {
		_, wrong := admit.Admit(o)
		errs = append(errs, wrong...)
	}
	if len(errs) > 0 {
		return errs.Sort()
	}
	return nil
}

// ask gives the answers, and the Stack that they are of. It holds nothing of other hosts; where this one is nowhere, what has
// nearly its name. A name below localhost that nobody has may be an alias, which only `headgate up` makes.
func (f *explainFlags) ask(ctx context.Context, set *object.Set) (*local.Stack, []local.Explanation, error) {
	hosts := []string{traffic.ServerName(f.query.Host), f.query.ServerName}
	stack, answers, err := f.askOf(ctx, set, hosts, local.Options{})
	if err != nil || !local.Nowhere(answers) {
		return stack, answers, err
	}
	f.hosts = narrow.RouteHosts(set)
	if err := stack.Close(); err != nil {
		return nil, nil, err
	}
	nearest := narrow.Nearest(f.query.Host, f.hosts, nearHosts)
	if stack, answers, err = f.askOf(ctx, set, append(hosts, nearest...), local.Options{}); err != nil || !strings.HasSuffix(f.query.ServerName, ".localhost") {
		return stack, answers, err
	}
	aliased, found, err := f.askOf(ctx, set, hosts, local.Options{Aliases: true})
	if err != nil {
		return nil, nil, errors.Join(err, stack.Close())
	}
	if !local.Nowhere(found) {
		answers = found
	}
	return stack, answers, aliased.Close()
}

// askOf gives the answers of a Stack that holds what is near some hosts.
func (f *explainFlags) askOf(ctx context.Context, set *object.Set, hosts []string, options local.Options) (*local.Stack, []local.Explanation, error) {
	stack, err := holding(ctx, set, narrow.Near(set, hosts...), options)
	if err != nil {
		return nil, nil, err
	}
	return stack, stack.Explain(f.query), nil
}

// prepare makes a query of the flags.
func (f *explainFlags) prepare(flags *pflag.FlagSet) error {
	if f.grpc != "" && (flags.Changed("path") || flags.Changed("method")) {
		return usageError{errors.New("--grpc stands in the place of --path and --method: leave these out")}
	}
	for _, step := range []func() error{f.check, f.readHeaders, f.call} {
		if err := step(); err != nil {
			return err
		}
	}
	return f.connection(flags.Changed("sni"))
}

func (f *explainFlags) check() error {
	if err := oneOf("output", f.output, "text", "json"); err != nil {
		return err
	}
	if f.query.Scheme != "" {
		if err := oneOf("scheme", f.query.Scheme, "http", "https", "tls", "tcp", "udp"); err != nil {
			return err
		}
	}
	f.query.Method = cmp.Or(f.query.Method, "GET")
	request := f.query.Port == 0 && f.query.Scheme != "tcp" && f.query.Scheme != "udp"
	switch {
	case f.query.Host == "" && request:
		return usageError{errors.New("--host is missing: which host is asked for?")}
	case !strings.HasPrefix(f.query.Path, "/"):
		return usageError{fmt.Errorf("--path %q: expected a path that begins with /", f.query.Path)}
	case f.query.Port < 0 || f.query.Port > 65535:
		return usageError{fmt.Errorf("--port %d: expected a port from 1 to 65535", f.query.Port)}
	}
	return nil
}

func (f *explainFlags) readHeaders() error {
	for _, h := range f.headers {
		name, value, found := strings.Cut(h, "=")
		if !found || name == "" {
			return usageError{fmt.Errorf("--header %q: expected NAME=VALUE, as in x-ring=beta", h)}
		}
		f.query.Headers = append(f.query.Headers, model.Header{Name: name, Value: value})
	}
	return nil
}

// call makes a request of a call of gRPC.
func (f *explainFlags) call() error {
	if f.grpc == "" {
		return nil
	}
	service, method, found := strings.Cut(f.grpc, "/")
	if !found || service == "" || method == "" || strings.Contains(method, "/") {
		return usageError{fmt.Errorf("--grpc %q: expected SERVICE/METHOD, as in shop.v1.Cart/Add", f.grpc)}
	}
	f.query.Method, f.query.Path = "POST", "/"+f.grpc
	f.query.Headers = append(f.query.Headers, model.Header{Name: "content-type", Value: "application/grpc"})
	return nil
}

// connection fills in the server name. Whoever gives one speaks TLS.
func (f *explainFlags) connection(given bool) error {
	if !given {
		f.query.ServerName = traffic.ServerName(f.query.Host)
		return nil
	}
	switch f.query.Scheme {
	case "http", "tcp", "udp":
		return usageError{fmt.Errorf("--sni %s: a connection of %s has no server name", f.query.ServerName, f.query.Scheme)}
	case "":
		f.query.Scheme = "tls"
	}
	return nil
}

// detached makes a Stack that holds a set of objects and serves nothing.
func detached(ctx context.Context, set *object.Set, options local.Options) (*local.Stack, error) {
	return holding(ctx, set, slices.Collect(set.All()), options)
}

// holding is detached for a part of the set.
func holding(ctx context.Context, set *object.Set, part []*object.Object, options local.Options) (*local.Stack, error) {
	options.Detached = true
	stack, err := local.New(options)
	if err != nil {
		return nil, err
	}
	change := agent.Change{Set: set, Put: part}
	if err := stack.Apply(ctx, change); err != nil {
		return nil, errors.Join(err, stack.Close())
	}
	return stack, nil
}

// nearHosts is how many hosts are named where the one asked for does not exist.
const nearHosts = 5

func (f *explainFlags) json(s streams, stack *local.Stack, answers []local.Explanation) error {
	out := struct {
		Host       string              `json:"host,omitempty"`
		Method     string              `json:"method,omitempty"`
		Path       string              `json:"path,omitempty"`
		ServerName string              `json:"serverName,omitempty"`
		Listeners  []local.Explanation `json:"listeners"`
		Nearest    []string            `json:"nearestHosts,omitempty"`
	}{Host: f.query.Host, Listeners: answers}
	if len(answers) == 0 || speaksHTTP(answers) {
		out.Method, out.Path = f.query.Method, f.query.Path
	}
	if speaksTLS(answers) {
		out.ServerName = f.query.ServerName
	}
	if noHost(answers) && f.query.Host != "" {
		hosts, _ := stack.Hosts()
		out.Nearest = narrow.Nearest(f.query.Host, hosts, nearHosts)
	}
	if answers == nil {
		out.Listeners = []local.Explanation{}
	}
	return writeJSON(s.out, out)
}

func writeJSON(w interface{ Write([]byte) (int, error) }, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
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

func speaksHTTP(answers []local.Explanation) bool { return speaks(answers, "HTTP", "HTTPS") }
func speaksTLS(answers []local.Explanation) bool  { return speaks(answers, "HTTPS", "TLS") }

func speaks(answers []local.Explanation, protocols ...string) bool {
	for i := range answers {
		for _, p := range protocols {
			if answers[i].Listener.Protocol == p {
				return true
			}
		}
	}
	return false
}
