package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/cmd/internal/syncs"
	"headgate.dev/schema"
)

// writer is who changes specs, for managedFields.
const writer = client.FieldOwner("kubectl-headgate")

// patch changes fields of a Sync, and gives it as it is then.
func (c *connection) patch(ctx context.Context, s *schema.Sync, fields map[string]any) (*schema.Sync, error) {
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("changing Sync %s/%s: %w", s.Namespace, s.Name, err)
	}
	changed := s.DeepCopy()
	err = c.Patch(ctx, changed, client.RawPatch(types.MergePatchType, data), writer)
	return changed, c.explain(fmt.Sprintf("changing Sync %s/%s", s.Namespace, s.Name), err)
}

func syncCommand(p Program) *cobra.Command {
	var f waitFlags
	now := false
	c := &cobra.Command{
		Use:   "sync SYNC --now",
		Short: "Have a Sync look at its repository at once",
		Long: `Ask the controller to look at a Sync's repository at once, without waiting for the interval or a webhook, and to
try again what was refused or failed. With --wait each stage is told until the last Envoy has the commit.

Exit codes with --wait: 0 live, 1 refused, failed or not served, 3 not in time; it goes on in the cluster then.`,
		Example: `  headgate sync shop --now
  headgate sync shop --now --wait --timeout 1m`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !now {
				return usage("a Sync is followed by itself; --now asks for a look at once: %s sync %s --now", p.Name, args[0])
			}
			return f.now(cmd.Context(), p, args[0])
		},
		ValidArgsFunction: f.completeSyncs(p, 1),
	}
	f.add(c, p)
	c.Flags().BoolVar(&now, "now", false, "look at the repository at once")
	f.addWait(c)
	return c
}

func (f *waitFlags) now(ctx context.Context, p Program, name string) error {
	c, s, err := f.open(ctx, p, name)
	if err != nil {
		return err
	}
	if s.Spec.Suspend {
		return fmt.Errorf("asking for a look: Sync %s/%s is suspended: %s resume %s", s.Namespace, s.Name, p.Name, syncs.Ref(s))
	}
	progress := &syncs.Progress{Request: time.Now().UTC().Format(time.RFC3339Nano), Before: s.Status.Revision}
	bounded, stop := short(ctx)
	defer stop()
	s, err = c.patch(bounded, s, map[string]any{"metadata": map[string]any{"annotations": map[string]any{schema.ReconcileRequest: progress.Request}}})
	if err != nil {
		return err
	}
	if f.wait {
		return c.follow(ctx, s, progress, f.timeout)
	}
	fmt.Fprintf(p.Out, "asked for a look at %s\n%s status %s   says what came of it; --wait waits for it\n", s.Spec.URL, p.Name, syncs.Ref(s))
	return nil
}

// open connects and finds a Sync.
func (f *Flags) open(ctx context.Context, p Program, name string) (*connection, *schema.Sync, error) {
	c, err := f.connect(p)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := short(ctx)
	defer stop()
	s, err := c.find(ctx, name)
	return c, s, err
}

func rollbackCommand(p Program) *cobra.Command {
	var f waitFlags
	undo := false
	c := &cobra.Command{
		Use:   "rollback SYNC [COMMIT]",
		Short: "Go back to a commit and stay there, or follow the repository again",
		Long: `Pin a Sync to a commit: it goes there and stays, whatever is pushed, until --undo. Without a commit it is the last
one that was live before the one that is applied. A commit is 40 digits, or the first ones of one that
history shows. Git is not changed: whoever reverts the commit there undoes the pin afterwards.`,
		Example: `  headgate rollback shop --wait
  headgate rollback shop 51be7aa
  headgate rollback shop --undo`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if undo && len(args) > 1 {
				return usage("--undo takes the pin away and goes to no commit: leave %s out", args[1])
			}
			return f.rollback(cmd.Context(), p, undo, args)
		},
		ValidArgsFunction: f.completeSyncs(p, 1),
	}
	f.add(c, p)
	c.Flags().BoolVar(&undo, "undo", false, "take the pin away and follow the repository again")
	f.addWait(c)
	return c
}

func (f *waitFlags) rollback(ctx context.Context, p Program, undo bool, args []string) error {
	c, s, err := f.open(ctx, p, args[0])
	if err != nil {
		return err
	}
	pin, text, err := target(p, s, undo, args[1:])
	if err != nil {
		return err
	}
	progress := &syncs.Progress{Before: s.Status.Revision}
	bounded, stop := short(ctx)
	defer stop()
	var value any
	if pin != "" {
		value = pin
	}
	if s, err = c.patch(bounded, s, map[string]any{"spec": map[string]any{"pin": value}}); err != nil {
		return err
	}
	fmt.Fprintln(p.Out, text)
	if s.Spec.Suspend {
		fmt.Fprintf(p.Out, "it is suspended, so nothing happens before: %s resume %s\n", p.Name, syncs.Ref(s))
		return nil
	}
	if f.wait {
		return c.follow(ctx, s, progress, f.timeout)
	}
	return nil
}

// target gives the commit to pin a Sync to, empty for none, and what there is to say about it.
func target(p Program, s *schema.Sync, undo bool, commit []string) (pin, text string, err error) {
	name := s.Namespace + "/" + s.Name
	switch {
	case undo:
		return "", "Sync " + name + " follows its repository", nil
	case len(commit) > 0:
		if pin, err = syncs.Commit(s, commit[0]); err != nil {
			return "", "", &UsageError{err}
		}
	default:
		before, ok := syncs.Before(s)
		if !ok {
			return "", "", &NotFoundError{fmt.Sprintf("no commit of Sync %s was live before %s, as far as its history goes; name one: %s rollback %s COMMIT",
				name, syncs.Short(s.Status.Revision), p.Name, syncs.Ref(s))}
		}
		pin = syncs.Hash(before.Revision)
	}
	return pin, fmt.Sprintf("Sync %s is pinned to %s\n%s rollback %s --undo   follows the repository again", name, pin, p.Name, syncs.Ref(s)), nil
}

func suspendCommand(p Program) *cobra.Command {
	return switchCommand(p, true, &cobra.Command{
		Use:   "suspend SYNC...",
		Short: "Stop everything that Syncs do; what is applied stays",
		Long: `Stop following the repositories of Syncs: nothing is fetched, applied, removed or corrected until resume. What is
applied stays and is served. A deletion of the Sync is still carried out.`,
		Example: "  headgate suspend shop cart -n team-a",
	})
}

func resumeCommand(p Program) *cobra.Command {
	return switchCommand(p, false, &cobra.Command{
		Use:   "resume SYNC...",
		Short: "Follow the repositories of suspended Syncs again",
		Long: `Follow the repositories of suspended Syncs again, beginning with what they have now. A pin stays: rollback --undo
takes it away. With --wait each stage is told until the last Envoy has the commit.`,
		Example: "  headgate resume shop --wait",
	})
}

// switchCommand completes a command that turns spec.suspend.
func switchCommand(p Program, suspend bool, c *cobra.Command) *cobra.Command {
	var f waitFlags
	c.Args, c.ValidArgsFunction = cobra.MinimumNArgs(1), f.completeSyncs(p, 0)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		for _, name := range args {
			if err := f.turn(cmd.Context(), p, suspend, name); err != nil {
				return err
			}
		}
		return nil
	}
	f.add(c, p)
	if !suspend {
		f.addWait(c)
	}
	return c
}

func (f *waitFlags) turn(ctx context.Context, p Program, suspend bool, name string) error {
	c, s, err := f.open(ctx, p, name)
	if err != nil {
		return err
	}
	word := map[bool]string{true: "suspended", false: "resumed"}[suspend]
	if s.Spec.Suspend == suspend {
		word += " already"
	}
	var value any
	if suspend {
		value = true
	}
	progress := &syncs.Progress{Before: s.Status.Revision}
	bounded, stop := short(ctx)
	defer stop()
	if s, err = c.patch(bounded, s, map[string]any{"spec": map[string]any{"suspend": value}}); err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "Sync %s/%s is %s\n", s.Namespace, s.Name, word)
	if !suspend && s.Spec.Pin != "" {
		fmt.Fprintf(p.Out, "it stays pinned to %s until: %s rollback %s --undo\n", s.Spec.Pin, p.Name, syncs.Ref(s))
	}
	if f.wait {
		return c.follow(ctx, s, progress, f.timeout)
	}
	return nil
}
