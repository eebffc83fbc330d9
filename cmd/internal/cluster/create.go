package cluster

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/cmd/internal/syncs"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

func createCommand(p Program) *cobra.Command {
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a Sync: have a cluster follow a repository",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(createSyncCommand(p))
	return c
}

// createFlags are the fields of a Sync that can be said in a word.
type createFlags struct {
	waitFlags
	spec     schema.SyncSpec
	ref      schema.SyncRef
	secret   string
	interval time.Duration
	noPrune  bool
	export   bool
}

func createSyncCommand(p Program) *cobra.Command {
	var f createFlags
	c := &cobra.Command{
		Use:   "sync NAME --url URL",
		Short: "Make a Sync, or change what is said about it",
		Long: `Make a Sync: from then on what is at the reference of the repository is what runs in the cluster. It does
everything as a service account of its namespace, which needs rights for what the repository has.

If there is one of the name already, what is said here is changed; fields that others set stay as they are. --export
prints the object instead, for everything that has no flag here, or to keep it in Git.`,
		Example: `  headgate create sync shop -n team-a --url https://git.example.com/team-a/shop \
    --branch main --service-account deployer
  headgate create sync shop --url ssh://git@git.example.com/shop --secret shop-git \
    --path clusters/prod --export`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), p, args[0]) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	f.add(c, p)
	flags := c.Flags()
	flags.StringVar(&f.spec.URL, "url", "", "the repository: https, ssh, or user@host:path (required)")
	flags.StringVar(&f.ref.Branch, "branch", "", "branch to follow (default the repository's own)")
	flags.StringVar(&f.ref.Tag, "tag", "", "tag to follow")
	flags.StringVar(&f.ref.SemVer, "semver", "", `range of versions, whose highest tag is followed: ">=1.2.0 <2"`)
	flags.StringVar(&f.spec.Path, "path", "", "directory of the repository (default all of it)")
	flags.StringVar(&f.spec.Gateway, "gateway", "", "Gateway of specs that name none: NAMESPACE/NAME")
	flags.StringVar(&f.secret, "secret", "", "Secret of the namespace with the repository's credentials")
	flags.StringVar(&f.spec.ServiceAccountName, "service-account", "", "service account of the namespace as which it reads and writes")
	flags.StringVar(&f.spec.TargetNamespace, "target-namespace", "", "the one namespace that its objects may be in")
	flags.DurationVar(&f.interval, "interval", 0, "time between two looks at the repository where no webhook tells (default 1m)")
	flags.BoolVar(&f.noPrune, "no-prune", false, "leave in the cluster what Git has no longer")
	flags.BoolVar(&f.spec.Suspend, "suspend", false, "make it, and let it do nothing yet")
	flags.BoolVar(&f.export, "export", false, "print the object and do nothing")
	f.addWait(c)
	return c
}

// credentials are a user at HTTP, or a password.
var credentials = regexp.MustCompile(`^(https?://[^/]*|ssh://[^/@]*:[^/@]*)@`)

// intervalText is a duration in the form of Gateway API, as people write it: 1h where Go writes 1h0m0s.
func intervalText(interval time.Duration) (string, error) {
	d, err := schema.ParseDuration(interval.String())
	if err != nil {
		return "", usage("--interval: %v", err)
	}
	text := d.Text
	for _, nothing := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, nothing) {
			text = text[:len(text)-2]
		}
	}
	return text, nil
}

// sync gives the object that the flags describe.
func (f *createFlags) sync(name, namespace string) (map[string]any, error) {
	if f.spec.URL == "" {
		return nil, usage("--url is missing: the repository to follow, as https://git.example.com/team-a/shop")
	}
	if credentials.MatchString(f.spec.URL) { // the API server would quote them in its answer
		return nil, usage("--url: credentials belong in a Secret, which --secret names, and not in the URL")
	}
	spec := map[string]any{"url": f.spec.URL}
	put := func(into map[string]any, key, value string) {
		if value != "" {
			into[key] = value
		}
	}
	ref := map[string]any{}
	put(ref, "branch", f.ref.Branch)
	put(ref, "tag", f.ref.Tag)
	put(ref, "semver", f.ref.SemVer)
	switch len(ref) {
	case 0:
	case 1:
		spec["ref"] = ref
	default:
		return nil, usage("--branch, --tag and --semver: expected one of them")
	}
	put(spec, "path", f.spec.Path)
	put(spec, "gateway", f.spec.Gateway)
	put(spec, "serviceAccountName", f.spec.ServiceAccountName)
	put(spec, "targetNamespace", f.spec.TargetNamespace)
	if f.secret != "" {
		spec["secretRef"] = map[string]any{"name": f.secret}
	}
	if f.interval != 0 {
		text, err := intervalText(f.interval)
		if err != nil {
			return nil, err
		}
		spec["interval"] = text
	}
	if f.noPrune {
		spec["prune"] = false
	}
	if f.spec.Suspend {
		spec["suspend"] = true
	}
	metadata := map[string]any{"name": name}
	put(metadata, "namespace", namespace)
	return map[string]any{"apiVersion": schema.APIVersion, "kind": schema.KindSync, "metadata": metadata, "spec": spec}, nil
}

func (f *createFlags) run(ctx context.Context, p Program, name string) error {
	if f.export {
		content, err := f.sync(name, f.Namespace)
		if err != nil {
			return err
		}
		o, err := object.New(content, object.Origin{}, nil)
		if err != nil {
			return usage("%v", err)
		}
		return object.WriteYAML(p.Out, func(yield func(*object.Object) bool) { yield(o) }, object.PrintOptions{})
	}
	content, err := f.sync(name, "")
	if err != nil {
		return err
	}
	c, err := f.connect(p)
	if err != nil {
		return err
	}
	content["metadata"].(map[string]any)["namespace"] = c.namespace
	s, err := c.make(ctx, name, content)
	if err != nil || !f.wait {
		return err
	}
	return c.follow(ctx, s, &syncs.Progress{}, f.timeout)
}

// make applies a Sync, and says what that did.
func (c *connection) make(ctx context.Context, name string, content map[string]any) (*schema.Sync, error) {
	ctx, stop := short(ctx)
	defer stop()
	doing := fmt.Sprintf("making Sync %s/%s", c.namespace, name)
	before, s := &schema.Sync{}, &schema.Sync{}
	key := client.ObjectKey{Namespace: c.namespace, Name: name}
	err := c.Get(ctx, key, before)
	if err != nil && (!apierrors.IsNotFound(err) || missingKind(err)) {
		return nil, c.explain(doing, err)
	}
	found := err == nil
	s.Namespace, s.Name = key.Namespace, key.Name
	if err := c.Patch(ctx, s, client.RawPatch(types.ApplyPatchType, object.AppendJSON(nil, content)), writer); err != nil {
		if apierrors.IsInvalid(err) {
			return nil, usage("%s: %v", doing, err)
		}
		if apierrors.IsConflict(err) {
			return nil, fmt.Errorf("%s: %w; change it where it is kept, or with kubectl edit", doing, err)
		}
		return nil, c.explain(doing, err)
	}
	did := "created"
	switch {
	case found && s.Generation == before.Generation:
		did = "unchanged"
	case found:
		did = "changed"
	}
	fmt.Fprintf(c.program.Out, "Sync %s/%s %s\n%s status %s   says how it is doing\n", s.Namespace, s.Name, did, c.program.Name, syncs.Ref(s))
	return s, nil
}
