package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/cmd/internal/syncs"
	"headgate.dev/schema"
)

// showFlags are those of commands that show one Sync.
type showFlags struct {
	Flags
	output string
}

func statusCommand(p Program) *cobra.Command {
	return showCommand(p, syncs.Teller.Status, &cobra.Command{
		Use:   "status SYNC",
		Short: "Say how a Sync is doing: which commit, live where, what is wrong",
		Long: `Show a Sync on one screen: the repository, the commit that is applied, on how many Envoys of which Gateways
it is live and how long that took since the push, how many objects it owns. Where something is wrong: what,
in which file and line, and what to do next. The exit code is 0 whatever the status says.

-o json prints the object as the API server has it; its status has everything of the screen.`,
		Example: `  headgate status shop
  headgate status shop -n team-a -o json`,
	})
}

func historyCommand(p Program) *cobra.Command {
	return showCommand(p, syncs.Teller.History, &cobra.Command{
		Use:   "history SYNC",
		Short: "List the last commits of a Sync and what became of them",
		Long: `List the last 20 commits that a Sync has tried, the newest first: when each was seen, whether it was applied,
refused or failed and why, and how long after the push it was live. The one that is applied has a star.`,
		Example: `  headgate history shop
  headgate history shop -o json`,
	})
}

// showCommand completes a command that prints one Sync.
func showCommand(p Program, text func(syncs.Teller, *schema.Sync) string, c *cobra.Command) *cobra.Command {
	var f showFlags
	c.Args, c.ValidArgsFunction = cobra.ExactArgs(1), f.completeSyncs(p, 1)
	c.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), p, args[0], text) }
	f.add(c, p)
	c.Flags().StringVarP(&f.output, "output", "o", "text", "text, json or yaml")
	complete(c, "output", cobra.FixedCompletions([]string{"text", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (f *showFlags) run(ctx context.Context, p Program, name string, text func(syncs.Teller, *schema.Sync) string) error {
	if !slices.Contains([]string{"text", "json", "yaml"}, f.output) {
		return usage("--output %q: expected one of [text json yaml]", f.output)
	}
	c, err := f.connect(p)
	if err != nil {
		return err
	}
	ctx, stop := short(ctx)
	defer stop()
	s, err := c.find(ctx, name)
	if err != nil {
		return err
	}
	switch f.output {
	case "json":
		return writeJSON(p.Out, []client.Object{typed(s)}, true)
	case "yaml":
		return writeYAML(p.Out, []client.Object{typed(s)})
	}
	fmt.Fprint(p.Out, text(p.teller(), s))
	return nil
}

// typed is a Sync that says what it is.
func typed(s *schema.Sync) *schema.Sync {
	s.SetGroupVersionKind(groupVersion.WithKind(schema.KindSync))
	return s
}
