package cluster

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/cmd/internal/syncs"
	"headgate.dev/schema"
)

// PreviewCommands are the subcommands of preview that speak with a cluster.
func PreviewCommands(p Program) []*cobra.Command {
	return []*cobra.Command{previewListCommand(p), previewOpenCommand(p), previewLogsCommand(p), previewDeleteCommand(p), previewPinCommand(p)}
}

type previewListFlags struct {
	Flags
	output string
}

func previewListCommand(p Program) *cobra.Command {
	var f previewListFlags
	c := &cobra.Command{
		Use:   "list [SYNC]",
		Short: "List the previews in a cluster, and the pull requests that have none",
		Long: `List the previews of a Sync, or of all Syncs of a namespace: where each answers (URL), at which commit (REVISION), and
whether every Envoy concerned has it (LIVE). Pull requests without a preview are listed too: LIVE is the reason in one
word, and below the table stands what to do about it.

  Fork           it comes from a fork: someone with write access comments /preview COMMIT
  Full           there are as many previews as there may be
  Ended          somebody deleted it, until the next push
  Expired        it was too old, until the next push
  StatusMissing  the required commit status is not green
  NoBase         no commit in common with the target branch was found
  Nothing        it has no commit of its own
  Waiting        another preview is just ending

-o json has all of this as rows; -o yaml prints the Preview objects.`,
		Example: `  headgate preview list
  headgate preview list shop -n team-a
  headgate preview list -A -o json`,
		Args:              cobra.MaximumNArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), p, args) },
		ValidArgsFunction: f.completeSyncs(p, 1),
	}
	f.add(c, p)
	f.addAll(c)
	c.Flags().StringVarP(&f.output, "output", "o", "", "table (default), wide, yaml or json")
	complete(c, "output", cobra.FixedCompletions([]string{"wide", "yaml", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (f *previewListFlags) run(ctx context.Context, p Program, args []string) error {
	if !slices.Contains([]string{"", "table", "wide", "yaml", "json"}, f.output) {
		return usage("--output %q: expected one of [table wide yaml json]", f.output)
	}
	if len(args) > 0 && f.AllNamespaces {
		return usage("a Sync is of one namespace: leave -A out, and name it with -n")
	}
	c, err := f.connect(p)
	if err != nil {
		return err
	}
	ctx, stop := short(ctx)
	defer stop()
	previews, list, err := c.previews(ctx, f.AllNamespaces, args)
	if err != nil {
		return err
	}
	switch f.output {
	case "json":
		rows := syncs.PreviewRows(previews, list)
		if rows == nil {
			rows = []syncs.PreviewRow{}
		}
		return encode(p.Out, rows)
	case "yaml":
		return writeYAML(p.Out, pointers[schema.Preview](previews, schema.KindPreview))
	}
	rows := syncs.PreviewRows(previews, list)
	if len(rows) == 0 {
		fmt.Fprintln(p.Err, "There is no preview, and no pull request that wants one. A Sync has previews when its spec.previews says of what.")
		return nil
	}
	fmt.Fprint(p.Out, p.teller().PreviewTable(rows, syncs.Columns{Namespace: f.AllNamespaces, Wide: f.output == "wide"}))
	return nil
}

// previews reads the Previews of a namespace, or of all, and their Syncs; those of one Sync where it is named.
func (c *connection) previews(ctx context.Context, all bool, args []string) ([]schema.Preview, []schema.Sync, error) {
	var in []client.ListOption
	if !all {
		in = append(in, client.InNamespace(c.namespace))
	}
	var list schema.SyncList
	if len(args) > 0 {
		s, err := c.find(ctx, args[0])
		if err != nil {
			return nil, nil, err
		}
		list.Items = []schema.Sync{*s}
	} else if err := c.List(ctx, &list, in...); err != nil {
		return nil, nil, c.explain("listing syncs", err)
	}
	var previews schema.PreviewList
	if err := c.List(ctx, &previews, in...); err != nil {
		return nil, nil, c.explain("listing previews", err)
	}
	if len(args) > 0 {
		previews.Items = slices.DeleteFunc(previews.Items, func(p schema.Preview) bool { return p.Spec.Sync != list.Items[0].Name })
	}
	return previews.Items, list.Items, nil
}

// preview finds the one that an argument names: by the name of the object, as SYNC/pr-42, or, where only one Sync of the namespace has it, as pr-42 or 42.
func (c *connection) preview(ctx context.Context, arg string) (*schema.Preview, error) {
	previews, list, err := c.previews(ctx, false, nil)
	if err != nil {
		return nil, err
	}
	sync, name, slash := strings.Cut(arg, "/")
	if !slash {
		sync, name = "", arg
	}
	name = strings.TrimPrefix(name, "#")
	if _, err := strconv.Atoi(name); err == nil {
		name = "pr-" + name
	}
	var found []schema.Preview
	for _, p := range previews {
		if p.Name == arg || p.Spec.Name == name && (sync == "" || p.Spec.Sync == sync) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return &found[0], nil
	case 0:
		return nil, c.noPreview(list, sync, name)
	}
	return nil, usage("%q is a preview of %d Syncs: name one as SYNC/%s", arg, len(found), name)
}

// noPreview says why there is none.
func (c *connection) noPreview(list []schema.Sync, sync, name string) error {
	for i := range list {
		if list[i].Status.Previews == nil || sync != "" && list[i].Name != sync {
			continue
		}
		for _, a := range list[i].Status.Previews.Without {
			if a.Name == name {
				return &NotFoundError{fmt.Sprintf("%s of Sync %s has no preview: %s", name, list[i].Name, a.Message)}
			}
		}
	}
	return &NotFoundError{fmt.Sprintf("there is no preview %s in namespace %s; %s preview list -A lists all", name, c.namespace, c.program.Name)}
}

func (f *Flags) completePreviews(p Program) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f.names(cmd.Context(), p, kindOf("previews"), nil)
	}
}

// previewCommand completes a command about one preview.
func (f *Flags) previewCommand(p Program, c *cobra.Command, do func(ctx context.Context, c *connection, v *schema.Preview) error) *cobra.Command {
	c.Args, c.ValidArgsFunction = cobra.ExactArgs(1), f.completePreviews(p)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		conn, err := f.connect(p)
		if err != nil {
			return err
		}
		ctx, stop := short(cmd.Context())
		defer stop()
		v, err := conn.preview(ctx, args[0])
		if err != nil {
			return err
		}
		return do(cmd.Context(), conn, v)
	}
	f.add(c, p)
	return c
}

const previewArgument = `
PREVIEW is pr-42 or 42, or SYNC/pr-42 where several Syncs of the namespace have one, or the name of the Preview object.`

func previewDeleteCommand(p Program) *cobra.Command {
	var f Flags
	return f.previewCommand(p, &cobra.Command{
		Use:   "delete PREVIEW",
		Short: "End a preview until the next push",
		Long: `End a preview: its routes, its workloads and its namespace go. It stays away until the pull request gets another
commit, and its place is free for another one meanwhile. The pull request itself is not touched.
` + previewArgument,
		Example: `  headgate preview delete pr-42
  headgate preview delete shop/pr-42 -n team-a`,
	}, func(ctx context.Context, c *connection, v *schema.Preview) error {
		ctx, stop := short(ctx)
		defer stop()
		if err := client.IgnoreNotFound(c.Delete(ctx, v, client.Preconditions{UID: &v.UID})); err != nil {
			return c.explain("deleting Preview "+v.Namespace+"/"+v.Name, err)
		}
		fmt.Fprintf(p.Out, "Preview %s of Sync %s/%s ends; the next push brings it back\n", v.Spec.Name, v.Namespace, v.Spec.Sync)
		return nil
	})
}

func previewPinCommand(p Program) *cobra.Command {
	var f Flags
	off := false
	c := f.previewCommand(p, &cobra.Command{
		Use:   "pin PREVIEW",
		Short: "Keep a preview from ending by age",
		Long: `Keep a preview whatever its age: previews.ttl and previews.maxAge do not end it until pin --off. It still follows
the pull request's pushes, and ends with it.
` + previewArgument,
		Example: `  headgate preview pin pr-42
  headgate preview pin pr-42 --off`,
	}, func(ctx context.Context, c *connection, v *schema.Preview) error {
		ctx, stop := short(ctx)
		defer stop()
		patch := fmt.Appendf(nil, `{"metadata":{"uid":%q},"spec":{"pin":%t}}`, v.UID, !off)
		if err := c.Patch(ctx, v, client.RawPatch(types.MergePatchType, patch), writer); err != nil {
			return c.explain("changing Preview "+v.Namespace+"/"+v.Name, err)
		}
		word := "stays whatever its age"
		if off {
			word = "ends by age again"
		}
		fmt.Fprintf(p.Out, "Preview %s of Sync %s/%s %s\n", v.Spec.Name, v.Namespace, v.Spec.Sync, word)
		return nil
	})
	c.Flags().BoolVar(&off, "off", false, "let it end by age again")
	return c
}
