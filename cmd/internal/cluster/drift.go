package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	agentcontroller "headgate.dev/agent/controller"
	"headgate.dev/agent/drift"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// driftFlags are the flags of `headgate drift`.
type driftFlags struct {
	namespace string
	all       bool
	field     string
	dir       string
}

func driftCommand(p Program) *cobra.Command {
	var f driftFlags
	c := &cobra.Command{
		Use:   "drift",
		Short: "Show what others changed of what Git says, and answer it",
		Long: `Show which fields of the objects of Syncs others changed: from what to what, who, when, and where Git says it.

OBJECT is KIND/NAMESPACE/NAME, NAMESPACE/NAME, or KIND/NAME for kinds without namespaces. The cluster is that of KUBECONFIG.`,
		Example: `  headgate drift list
  headgate drift show team-a/cart
  headgate drift correct HTTPRoute/team-a/cart
  headgate drift ignore team-a/cart --field /spec/rules/0/timeouts/request
  headgate drift adopt team-a/cart --dir ~/src/shop`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of the Syncs (default all)")
	list := &cobra.Command{Use: "list", Short: "List what is drifted now", Args: cobra.NoArgs}
	list.Flags().BoolVar(&f.all, "all", false, "what is over too, the last records of each Sync")
	list.RunE = func(c *cobra.Command, _ []string) error { return f.list(c.Context(), p) }
	ignore := f.answer(p, "ignore", "Have the drift of an object ignored: adds a rule in front of those of its Sync", f.ignore)
	ignore.Flags().StringVar(&f.field, "field", "", "JSON pointer of the field (default all that is drifted)")
	adopt := f.answer(p, "adopt", "Print the patch that makes Git say what the cluster says", f.adopt)
	adopt.Flags().StringVar(&f.dir, "dir", ".", "the repository, checked out")
	c.AddCommand(list, f.answer(p, "show", "Show all about the drift of an object", f.show),
		f.answer(p, "correct", "Have an object put back, whatever the policy says", f.correct), ignore, adopt)
	return c
}

// drifted is a Sync and the records of an object, or of all.
type drifted struct {
	sync    *schema.Sync
	records []drift.Record
}

// answer makes a command about one object.
func (f *driftFlags) answer(p Program, name, short string, do func(context.Context, Program, client.Client, drifted) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " OBJECT", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := clusterClient()
			if err != nil {
				return err
			}
			found, err := f.find(c.Context(), api, args[0])
			if err != nil {
				return err
			}
			return do(c.Context(), p, api, found)
		},
	}
}

func clusterClient() (client.Client, error) {
	rest, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := schema.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(rest, client.Options{Scheme: scheme})
}

// read gives all Syncs with their records.
func (f *driftFlags) read(ctx context.Context, api client.Client) ([]drifted, error) {
	var syncs schema.SyncList
	if err := api.List(ctx, &syncs, client.InNamespace(f.namespace)); err != nil {
		return nil, fmt.Errorf("listing Syncs: %w", err)
	}
	var out []drifted
	for i := range syncs.Items {
		d := drifted{sync: &syncs.Items[i]}
		var m corev1.ConfigMap
		err := api.Get(ctx, client.ObjectKey{Namespace: d.sync.Namespace, Name: agentcontroller.DriftConfigMap(d.sync.Name)}, &m)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading the records of Sync %s/%s: %w", d.sync.Namespace, d.sync.Name, err)
		}
		if err == nil {
			var snapshot drift.Snapshot
			if err := json.Unmarshal([]byte(m.Data[agentcontroller.DriftRecords]), &snapshot); err != nil {
				return nil, fmt.Errorf("reading the records of Sync %s/%s: %w", d.sync.Namespace, d.sync.Name, err)
			}
			d.records = snapshot.Records
		}
		out = append(out, d)
	}
	return out, nil
}

// find gives the Sync that has records about an object, and those; the open ones alone where there are any.
func (f *driftFlags) find(ctx context.Context, api client.Client, ref string) (drifted, error) {
	all, err := f.read(ctx, api)
	if err != nil {
		return drifted{}, err
	}
	var found []drifted
	for _, d := range all {
		records := slices.DeleteFunc(slices.Clone(d.records), func(r drift.Record) bool { return !refersTo(ref, &r) })
		if open := slices.DeleteFunc(slices.Clone(records), func(r drift.Record) bool { return !r.Open() }); len(open) > 0 {
			records = open
		}
		byObject := map[string][]drift.Record{}
		for _, r := range records {
			byObject[r.Object.String()] = append(byObject[r.Object.String()], r)
		}
		for _, name := range sortedKeys(byObject) {
			found = append(found, drifted{d.sync, byObject[name]})
		}
	}
	switch len(found) {
	case 0:
		return drifted{}, usage("nothing is known of a drift of %s; headgate drift list --all shows what is", ref)
	case 1:
		return found[0], nil
	}
	return drifted{}, usage("%s is said of %s and of %s: name the kind, or the namespace of the Sync", ref, found[0].records[0].Object, found[1].records[0].Object)
}

func sortedKeys(m map[string][]drift.Record) []string {
	out := make([]string, 0, len(m))
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// refersTo tells whether a text names the object of a record.
func refersTo(ref string, r *drift.Record) bool {
	short := r.Object.Name
	if r.Object.Namespace != "" {
		short = r.Object.Namespace + "/" + r.Object.Name
	}
	return ref == short || strings.EqualFold(ref, r.Object.Kind+"/"+short)
}

func (f *driftFlags) list(ctx context.Context, p Program) error {
	api, err := clusterClient()
	if err != nil {
		return err
	}
	all, err := f.read(ctx, api)
	if err != nil {
		return err
	}
	said := false
	for _, d := range all {
		if !f.all {
			d.records = slices.DeleteFunc(d.records, func(r drift.Record) bool { return !r.Open() })
		}
		if text := driftText(d, time.Now()); text != "" {
			said = true
			fmt.Fprint(p.Out, text)
		}
	}
	if !said {
		fmt.Fprintln(p.Out, "nothing is drifted")
	}
	return nil
}

// driftText says what is drifted of a Sync, object by object.
func driftText(d drifted, now time.Time) string {
	var b strings.Builder
	for i := range d.records {
		r := &d.records[i]
		if i == 0 || r.Object != d.records[i-1].Object || r.Open() != d.records[i-1].Open() {
			state := "open since " + r.Opened.UTC().Format("2006-01-02 15:04:05")
			if !r.Open() {
				state = "over"
			}
			line(&b, 0, fmt.Sprintf("%s · Sync %s/%s · %s", r.Object, d.sync.Namespace, d.sync.Name, state))
		}
		line(&b, 2, r.Text())
		line(&b, 2, recordState(r, now))
	}
	return b.String()
}

// line writes a text as wide as is usual.
func line(w io.Writer, indent int, text string) {
	fmt.Fprint(w, term.Fit(indent, [][]string{{schema.Printable(text)}}))
}

func recordState(r *drift.Record, now time.Time) string {
	parts := []string{"policy: " + string(r.Do)}
	if r.Open() {
		parts = append(parts, "for "+r.Duration(now).Round(time.Second).String())
	} else {
		parts = append(parts, fmt.Sprintf("%s after %s", r.Reason, r.Duration(now).Round(time.Millisecond)))
	}
	if r.Edits > 1 {
		parts = append(parts, fmt.Sprintf("%d edits", r.Edits))
	}
	if r.Corrections > 0 {
		parts = append(parts, fmt.Sprintf("put back %d times", r.Corrections))
	}
	if r.Fight {
		parts = append(parts, "no longer put back: it was changed again each time")
	}
	if r.Failed != "" {
		parts = append(parts, "putting it back did not work: "+r.Failed)
	}
	return strings.Join(parts, " · ")
}

func (f *driftFlags) show(_ context.Context, p Program, _ client.Client, d drifted) error {
	fmt.Fprint(p.Out, driftText(d, time.Now()))
	for i := range d.records {
		for _, b := range d.records[i].By {
			at := "at a time that the API server does not say"
			if !b.Time.IsZero() {
				at = b.Time.UTC().Format("2006-01-02 15:04:05")
			}
			line(p.Out, 2, fmt.Sprintf("%s: %s %s, %s", d.records[i].Path, b.String(), strings.ToLower(b.Operation), at))
		}
	}
	return nil
}

// correct asks the controller.
func (f *driftFlags) correct(ctx context.Context, p Program, api client.Client, d drifted) error {
	id := d.records[0].Object
	if !d.records[0].Open() {
		return usage("%s is not drifted: %s", id, d.records[0].Reason)
	}
	kind := id.Kind
	if id.Group != "" {
		kind += "." + id.Group
	}
	ref := kind + "/" + id.Name
	if id.Namespace != "" {
		ref = kind + "/" + id.Namespace + "/" + id.Name
	}
	request := time.Now().UTC().Format(time.RFC3339Nano) + " " + ref
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{schema.DriftCorrectRequest: request}}})
	if err != nil {
		return err
	}
	if err := api.Patch(ctx, d.sync, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("asking for the correction of %s: %w", id, err)
	}
	line(p.Out, 0, fmt.Sprintf("asked to put %s back; headgate drift show says what came of it", id))
	return nil
}

// ignore adds a rule to the Sync.
func (f *driftFlags) ignore(ctx context.Context, p Program, api client.Client, d drifted) error {
	id := d.records[0].Object
	rule := schema.SyncDriftRule{
		Target: schema.SyncSelector{Group: id.Group, Kind: id.Kind, Namespace: id.Namespace, Name: id.Name}, Policy: schema.DriftIgnore,
	}
	if rule.Target.Group == "" {
		rule.Target.Group = "core"
	}
	for _, r := range d.records {
		if f.field == "" && r.Pointer != "" {
			rule.Fields = append(rule.Fields, r.Pointer)
		}
	}
	if f.field != "" {
		rule.Fields = []string{f.field}
	}
	before := d.sync.DeepCopy()
	if d.sync.Spec.Drift == nil {
		d.sync.Spec.Drift = &schema.SyncDrift{}
	}
	d.sync.Spec.Drift.Rules = append([]schema.SyncDriftRule{rule}, d.sync.Spec.Drift.Rules...)
	if err := api.Patch(ctx, d.sync, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding a rule to Sync %s/%s: %w", d.sync.Namespace, d.sync.Name, err)
	}
	text, err := json.Marshal(rule)
	if err != nil {
		return err
	}
	line(p.Out, 0, fmt.Sprintf("Sync %s/%s has a rule in spec.drift.rules; where the Sync itself is in Git, write it there:", d.sync.Namespace, d.sync.Name))
	fmt.Fprintf(p.Out, "  - %s\n", text)
	return nil
}

func (f *driftFlags) adopt(_ context.Context, p Program, _ client.Client, d drifted) error {
	for i := range d.records {
		fmt.Fprint(p.Out, f.adoption(d.sync, &d.records[i]))
	}
	return nil
}

// adoption says what to change in Git: a patch where the value stands in the line that is known, else in words.
func (f *driftFlags) adoption(sync *schema.Sync, r *drift.Record) string {
	if !r.Open() || r.File == "" || r.What == drift.Deleted || r.From == drift.Mask || r.To == drift.Mask {
		return byHand(r)
	}
	for _, base := range []string{"", sync.Spec.Path} {
		name := filepath.ToSlash(filepath.Join(base, r.File))
		if !filepath.IsLocal(name) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(f.dir, name))
		if err != nil {
			continue
		}
		if patch := linePatch(name, content, r); patch != "" {
			return patch
		}
	}
	return byHand(r)
}

func byHand(r *drift.Record) string {
	switch r.What {
	case drift.Deleted:
		return fmt.Sprintf("# remove %s from %s:%d\n", r.Object, r.File, r.Line)
	case drift.Removed:
		return fmt.Sprintf("# %s:%d: take out %s\n", r.File, r.Line, schema.Printable(r.Path))
	}
	return fmt.Sprintf("# %s:%d: %s is to say %s\n", r.File, r.Line, schema.Printable(r.Path), schema.Printable(r.To))
}

// nearby is how many lines after the one that is known a value is looked for.
const nearby = 8

// linePatch gives a unified diff that replaces a scalar in the first line, from the known one on, that ends in it; empty where there is none.
func linePatch(name string, content []byte, r *drift.Record) string {
	from, to := drift.Bare(r.From), drift.Bare(r.To)
	if r.What != drift.Changed || strings.ContainsAny(from+to, "{}[]\n…") || from == "" {
		return ""
	}
	lines := bytes.Split(content, []byte("\n"))
	for i := r.Line - 1; i >= 0 && i < len(lines) && i < r.Line-1+nearby; i++ {
		line := string(lines[i])
		at := wordAt(line, from)
		if at < 0 {
			continue
		}
		changed := line[:at] + to + line[at+len(from):]
		return fmt.Sprintf("--- a/%[1]s\n+++ b/%[1]s\n@@ -%[2]d +%[2]d @@\n-%[3]s\n+%[4]s\n", name, i+1, line, changed)
	}
	return ""
}

// wordAt finds a value of YAML in a line: behind a colon, a dash or inside of a flow collection. Only where it stands once.
func wordAt(line, word string) int {
	at := -1
	for from := 0; ; {
		i := strings.Index(line[from:], word)
		if i < 0 {
			return at
		}
		i += from
		end := i + len(word)
		before, after := i > 0 && strings.IndexByte(" \"'", line[i-1]) >= 0, end == len(line) || strings.IndexByte(" ,}]\"'", line[end]) >= 0
		if before && after {
			if at >= 0 {
				return -1
			}
			at = i
		}
		from = end
	}
}
