package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/cmd/internal/syncs"
	"headgate.dev/schema"
)

// kindInfo is a kind that `get` shows.
type kindInfo struct {
	kind, plural string
	names        []string // all it is called by
	list         func() client.ObjectList
	table        func(syncs.Teller, client.ObjectList, syncs.Columns) string
	items        func(client.ObjectList) []client.Object
}

// shown are the kinds, in the order in which they are shown.
var shown = []kindInfo{
	{
		kind: schema.KindSync, plural: "syncs", names: []string{"syncs", "sync", "hgs", "syncs.headgate.dev", "sync.headgate.dev"},
		list: func() client.ObjectList { return &schema.SyncList{} },
		table: func(t syncs.Teller, l client.ObjectList, c syncs.Columns) string {
			return t.Table(l.(*schema.SyncList).Items, c)
		},
		items: func(l client.ObjectList) []client.Object {
			return pointers[schema.Sync](l.(*schema.SyncList).Items, schema.KindSync)
		},
	},
	{
		kind: schema.KindPreview, plural: "previews", names: []string{"previews", "preview", "hgp", "previews.headgate.dev", "preview.headgate.dev"},
		list: func() client.ObjectList { return &schema.PreviewList{} },
		table: func(t syncs.Teller, l client.ObjectList, c syncs.Columns) string {
			return t.Previews(l.(*schema.PreviewList).Items, c)
		},
		items: func(l client.ObjectList) []client.Object {
			return pointers[schema.Preview](l.(*schema.PreviewList).Items, schema.KindPreview)
		},
	},
}

// pointers gives the items of a list, each with its kind.
func pointers[T any, P interface {
	*T
	client.Object
}](items []T, kind string) []client.Object {
	out := make([]client.Object, len(items))
	for i := range items {
		out[i] = P(&items[i])
		out[i].GetObjectKind().SetGroupVersionKind(groupVersion.WithKind(kind))
	}
	return out
}

// kindOf finds a kind by any of its names; nil where there is none.
func kindOf(name string) *kindInfo {
	for i := range shown {
		if slices.Contains(shown[i].names, strings.ToLower(name)) {
			return &shown[i]
		}
	}
	return nil
}

type getFlags struct {
	Flags
	output, selector string
}

func getCommand(p Program) *cobra.Command {
	var f getFlags
	c := &cobra.Command{
		Use:   "get [syncs|previews] [NAME...]",
		Short: "List what headgate has in a cluster: Syncs and previews",
		Long: `List Syncs: which revision is applied, whether the Envoys have it (LIVE), whether everything is as in Git
(READY), and why not. List previews: where each answers and at which commit. Without an argument: both.

The table has 100 columns at most; -o wide shows all there is. Like kubectl, which can be used as well:
kubectl get syncs -A.`,
		Example: `  headgate get syncs -A
  headgate get sync shop -n team-a -o yaml
  headgate get previews -l team=a -o json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), p, args) },
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []string{"syncs", "previews"}, cobra.ShellCompDirectiveNoFileComp
			}
			return f.names(cmd.Context(), p, kindOf(args[0]), args[1:])
		},
	}
	f.add(c, p)
	f.addAll(c)
	c.Flags().StringVarP(&f.output, "output", "o", "", "table (default), wide, name, yaml or json")
	c.Flags().StringVarP(&f.selector, "selector", "l", "", "only those with these labels: team=a,tier!=test")
	complete(c, "output", cobra.FixedCompletions([]string{"wide", "name", "yaml", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// wanted takes the arguments apart: kinds, and the names of one kind.
func wanted(args []string) (list []kindInfo, names []string, err error) {
	if len(args) == 0 {
		return shown, nil, nil
	}
	first, name, slash := strings.Cut(args[0], "/")
	k := kindOf(first)
	if k == nil {
		return nil, nil, usage("%q is no kind of headgate's: expected syncs or previews; kubectl get shows every other", first)
	}
	if !slash {
		return []kindInfo{*k}, args[1:], nil
	}
	if name == "" || len(args) > 1 {
		return nil, nil, usage("%q: expected KIND/NAME alone, or a kind and names", strings.Join(args, " "))
	}
	return []kindInfo{*k}, []string{name}, nil
}

func (f *getFlags) run(ctx context.Context, p Program, args []string) error {
	list, names, err := wanted(args)
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"", "table", "wide", "name", "yaml", "json"}, f.output) {
		return usage("--output %q: expected one of [table wide name yaml json]", f.output)
	}
	if len(names) > 0 && (f.AllNamespaces || f.selector != "") {
		return usage("names are of one namespace, and are named without a selector: leave -A and -l out")
	}
	selector, err := labels.Parse(f.selector)
	if err != nil {
		return usage("--selector: %v", err)
	}
	c, err := f.connect(p)
	if err != nil {
		return err
	}
	ctx, stop := short(ctx)
	defer stop()
	var lists []client.ObjectList
	for i := range list {
		read, err := c.read(ctx, &list[i], names, f.scope(c, selector))
		if err != nil {
			return err
		}
		lists = append(lists, read)
	}
	return f.print(p, list, lists, len(names) == 1)
}

func (f *getFlags) scope(c *connection, selector labels.Selector) []client.ListOption {
	options := []client.ListOption{client.MatchingLabelsSelector{Selector: selector}}
	if !f.AllNamespaces {
		options = append(options, client.InNamespace(c.namespace))
	}
	return options
}

// read gives the objects of a kind, or those with the names.
func (c *connection) read(ctx context.Context, k *kindInfo, names []string, options []client.ListOption) (client.ObjectList, error) {
	list := k.list()
	if err := c.List(ctx, list, options...); err != nil {
		return nil, c.explain("listing "+k.plural, err)
	}
	if len(names) == 0 {
		return list, nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(k.items(list), func(o client.Object) bool { return o.GetName() == name }) {
			return nil, c.absent(ctx, k, name)
		}
	}
	return list, keep(list, names)
}

func (c *connection) absent(ctx context.Context, k *kindInfo, name string) error {
	if k.kind == schema.KindSync {
		return c.nearest(ctx, name)
	}
	return &NotFoundError{fmt.Sprintf("there is no %s %s in namespace %s; %s get %s -A lists all", k.kind, name, c.namespace, c.program.Name, k.plural)}
}

// keep leaves only the named objects in a list.
func keep(list client.ObjectList, names []string) error {
	switch l := list.(type) {
	case *schema.SyncList:
		l.Items = slices.DeleteFunc(l.Items, func(s schema.Sync) bool { return !slices.Contains(names, s.Name) })
	case *schema.PreviewList:
		l.Items = slices.DeleteFunc(l.Items, func(p schema.Preview) bool { return !slices.Contains(names, p.Name) })
	default:
		return apierrors.NewInternalError(fmt.Errorf("a list of %T", list))
	}
	return nil
}

func (f *getFlags) print(p Program, list []kindInfo, lists []client.ObjectList, one bool) error {
	var all []client.Object
	for i := range list {
		all = append(all, list[i].items(lists[i])...)
	}
	switch f.output {
	case "json":
		return writeJSON(p.Out, all, one)
	case "yaml":
		return writeYAML(p.Out, all)
	case "name":
		for i := range list {
			for _, o := range list[i].items(lists[i]) {
				fmt.Fprintf(p.Out, "%s.%s/%s\n", strings.ToLower(list[i].kind), schema.Group, o.GetName())
			}
		}
		return nil
	}
	if len(all) == 0 {
		more := "; -A looks in all namespaces"
		if f.AllNamespaces {
			more = ""
		}
		fmt.Fprintln(p.Err, "There is nothing. "+p.Name+" create sync --help says how to have a repository followed"+more+".")
		return nil
	}
	columns, first := syncs.Columns{Namespace: f.AllNamespaces, Wide: f.output == "wide"}, true
	for i := range list {
		if len(list[i].items(lists[i])) == 0 {
			continue
		}
		if !first {
			fmt.Fprintln(p.Out)
		}
		first = false
		fmt.Fprint(p.Out, list[i].table(p.teller(), lists[i], columns))
	}
	return nil
}

// names completes the names of a kind from the cluster. Whatever is in the way, there is nothing to complete.
func (f *Flags) names(ctx context.Context, p Program, k *kindInfo, but []string) ([]string, cobra.ShellCompDirective) {
	c, err := f.connect(p)
	if err != nil || k == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, stop := context.WithTimeout(ctx, completionTimeout)
	defer stop()
	list := k.list()
	if err := c.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, o := range k.items(list) {
		if !slices.Contains(but, o.GetName()) {
			out = append(out, o.GetName())
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
