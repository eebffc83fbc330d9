package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/agent/apply"
	"headgate.dev/agent/git"
	"headgate.dev/agent/plan"
	"headgate.dev/cmd/internal/syncs"
	"headgate.dev/schema"
)

// Diff says what the next look at a Sync's repository would change in the cluster. Output is text, json or markdown.
type Diff struct {
	Flags
	Output string
	// ExitCode has Run give ErrDiffers where there are differences.
	ExitCode bool
	Limits   git.Limits

	local     string
	asAccount bool
}

// Add adds the flags, but for the namespace and the output.
func (d *Diff) Add(c *cobra.Command) {
	d.Flags.Add(c)
	c.Flags().StringVar(&d.local, "local", "", "of a Sync: the saved files of the working copy that this directory is in, for what is pushed")
	c.Flags().BoolVar(&d.asAccount, "as-account", false, "of a Sync: ask as its service account")
	c.Flags().BoolVar(&d.ExitCode, "exit-code", false, "exit with 1 where there are differences")
}

// Run compares and prints.
func (d *Diff) Run(ctx context.Context, p Program, name string) error {
	c, s, err := d.open(ctx, p, name)
	if err != nil {
		return err
	}
	if d.asAccount && s.Spec.ServiceAccountName == "" {
		return usage("--as-account: Sync %s/%s names no service account, and the controller's default is not known here", s.Namespace, s.Name)
	}
	rendered, err := d.render(ctx, c, s)
	if err != nil {
		return err
	}
	trials, err := d.try(ctx, c, s, rendered)
	if err != nil {
		return fmt.Errorf("asking %s what it would do: %w", c.host, err)
	}
	out, err := compare(s, rendered.Commit.Short(), trials)
	if err != nil {
		return err
	}
	if out.Traffic, err = trafficOf(ctx, c, rendered.Set, trials); err != nil {
		return fmt.Errorf("working out what becomes of traffic: %w", err)
	}
	if err := printDiff(p, out, d.Output); err != nil {
		return err
	}
	switch {
	case len(out.Refused) > 0:
		return ErrNotLive
	case d.ExitCode && len(out.Objects) > 0:
		return ErrDiffers
	}
	return nil
}

func printDiff(p Program, d *syncs.Diff, output string) error {
	switch output {
	case "json":
		return encode(p.Out, d)
	case "markdown":
		d.Markdown(p.Out)
	default:
		d.Text(p.Out, p.style())
	}
	return nil
}

// render gives the objects that the Sync would apply.
func (d *Diff) render(ctx context.Context, c *connection, s *schema.Sync) (out agent.Rendered, err error) {
	once := agent.Once{Sync: s, Limits: d.Limits, Reader: reader{c}}
	if d.asAccount {
		config := rest.CopyConfig(c.rest)
		config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + s.Namespace + ":" + s.Spec.ServiceAccountName}
		as, err := client.New(config, client.Options{Scheme: c.Scheme(), Mapper: c.RESTMapper()})
		if err != nil {
			return out, fmt.Errorf("making a client for %s: %w", config.Impersonate.UserName, err)
		}
		once.Reader = reader{as}
	}
	if d.local != "" {
		worktree, err := git.OpenWorktree(d.local, d.Limits, nil)
		if err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, worktree.Close()) }()
		if once.Commit, err = worktree.Resolve(ctx); err != nil {
			return out, err
		}
		out, err = once.Render(ctx)
		return out, d.wrong(s, err)
	}
	if once.Cache, err = os.MkdirTemp("", "headgate-diff-"); err != nil {
		return out, fmt.Errorf("preparing a directory to fetch into: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(once.Cache)) }()
	once.Sync = s.DeepCopy()
	once.Sync.Spec.Pin = "" // the question is what comes
	out, err = once.Render(ctx)
	return out, d.wrong(s, err)
}

// wrong says what cannot be rendered.
func (d *Diff) wrong(s *schema.Sync, err error) error {
	var problem *agent.Problem
	switch {
	case errors.As(err, &problem):
		return fmt.Errorf("rendering Sync %s/%s: %s; --local takes a working copy, and needs no credentials of the repository", s.Namespace, s.Name, problem.Message)
	case err != nil:
		return fmt.Errorf("rendering Sync %s/%s:\n%w", s.Namespace, s.Name, err)
	}
	return nil
}

func (d *Diff) try(ctx context.Context, c *connection, s *schema.Sync, r agent.Rendered) (*apply.Trials, error) {
	known, err := apply.NewKinds(c.rest)
	if err != nil {
		return nil, err
	}
	config := apply.Config{REST: c.rest, Kinds: known, Owner: plan.Owner{Namespace: s.Namespace, Name: s.Name}, Person: true}
	if d.asAccount {
		config.Person, config.Account = false, s.Spec.ServiceAccountName
	}
	applier, err := apply.New(config)
	if err != nil {
		return nil, err
	}
	return applier.Try(ctx, apply.Request{
		Desired: r.Set, Ignore: r.Ignore, Keep: s.Spec.Prune != nil && !*s.Spec.Prune, Force: s.Spec.Force, Secrets: r.Secrets,
	})
}

// compare says what trials would change.
func compare(s *schema.Sync, to string, trials *apply.Trials) (*syncs.Diff, error) {
	out := syncs.NewDiff(s, to)
	out.Unchanged = trials.Unchanged
	for i := range trials.Trials {
		t := &trials.Trials[i]
		if t.Err != nil {
			out.Refused = append(out.Refused, t.Err.Error())
			continue
		}
		if err := out.Write(t.Object, t.Live, t.Would); err != nil {
			return nil, err
		}
	}
	for _, id := range trials.Removals {
		out.Remove(id)
	}
	for _, k := range trials.Kept {
		out.Kept = append(out.Kept, k.ID.String()+": "+string(k.Reason))
	}
	return out, nil
}

// reader reads for a Sync as whoever the client is.
type reader struct{ client.Reader }

// Secret implements agent.Reader.
func (r reader) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	var s corev1.Secret
	err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &s)
	return s.Data, err
}

// ConfigMap implements agent.Reader.
func (r reader) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	var c corev1.ConfigMap
	err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &c)
	return c.Data, err
}

// DefaultGateways implements agent.Reader.
func (r reader) DefaultGateways(ctx context.Context) ([]agent.DefaultGateway, error) {
	const annotation = "headgate.dev/default-for"
	var list gwv1.GatewayList
	if err := r.List(ctx, &list); err != nil {
		return nil, err
	}
	var out []agent.DefaultGateway
	for i := range list.Items {
		g := &list.Items[i]
		if value := g.Annotations[annotation]; value != "" && g.DeletionTimestamp == nil {
			out = append(out, agent.DefaultGateway{Namespace: g.Namespace, Name: g.Name, For: value})
		}
	}
	return out, nil
}
