package resolve_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/backend"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/resolve/gateway"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestGolden resolves the objects of each case and compares what comes out of them, as text.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("finding cases: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := resolveAll(snapshotOf(t, part(ar, "objects.yaml")))
			if *update {
				setPart(ar, "want", got)
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(part(ar, "want")), got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func part(ar *txtar.Archive, name string) []byte {
	for _, f := range ar.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func setPart(ar *txtar.Archive, name, text string) {
	for i := range ar.Files {
		if ar.Files[i].Name == name {
			ar.Files[i].Data = []byte(text)
			return
		}
	}
	ar.Files = append(ar.Files, txtar.File{Name: name, Data: []byte(text)})
}

// snapshotOf reads YAML documents into a Snapshot. Objects without a namespace live in "default".
func snapshotOf(t testing.TB, data []byte) *kube.Snapshot {
	t.Helper()
	var changes []kube.Change
	for _, doc := range bytes.Split(data, []byte("\n---\n")) {
		var content map[string]any
		if err := yaml.Unmarshal(doc, &content); err != nil {
			t.Fatalf("reading %s: %v", doc, err)
		}
		c, known, err := kube.Decode(content)
		if err != nil || !known {
			t.Fatalf("decoding %s: known %v, %v", doc, known, err)
		}
		if c.Kind != kube.GatewayClass && c.Kind != kube.Namespace && c.Name.Namespace == "" {
			c.Object.SetNamespace("default")
			c = kube.ChangeOf(c.Kind, c.Object)
		}
		fillIn(c.Object)
		changes = append(changes, c)
	}
	s := kube.NewSnapshot()
	s.Apply(changes)
	return s
}

// fillIn puts certificates and keys in the places of their names.
func fillIn(o kube.Object) {
	for name, text := range map[string]string{
		"CA": kubetest.CACertificate, "SHOP": kubetest.ShopCertificate, "SHOP-KEY": kubetest.ShopKey,
		"WILDCARD": kubetest.WildcardCertificate, "WILDCARD-KEY": kubetest.WildcardKey,
	} {
		switch o := o.(type) {
		case *corev1.Secret:
			for k, v := range o.StringData {
				if v == name {
					o.StringData[k] = text
				}
			}
		case *corev1.ConfigMap:
			for k, v := range o.Data {
				if v == name {
					o.Data[k] = text
				}
			}
		}
	}
}

// world is everything that the objects of a snapshot come to, put together as the engine does.
type world struct {
	s         *kube.Snapshot
	gateways  map[types.NamespacedName]*gateway.Result
	routes    []*resolve.RouteResult
	hosts     []*model.Host
	listeners []*model.Listener
	clusters  []model.ClusterID
}

func worldOf(s *kube.Snapshot) *world {
	w := &world{s: s, gateways: map[types.NamespacedName]*gateway.Result{}}
	contributions := map[model.HostID][]resolve.Contribution{}
	owners := map[model.HostID]*gateway.Result{}
	for _, name := range s.Names(kube.Gateway) {
		g := gateway.Resolve(s, name)
		w.gateways[name] = g
		for _, id := range g.Hosts {
			contributions[id], owners[id] = nil, g
		}
	}
	sockets := map[model.ListenerID][]resolve.L4Contribution{}
	for _, ref := range routesOf(s) {
		r := resolve.Route(s, ref, func(n types.NamespacedName) *gateway.Result { return w.gateways[n] })
		w.routes = append(w.routes, r)
		for i := range r.L4 {
			sockets[r.L4[i].Listener] = append(sockets[r.L4[i].Listener], resolve.L4Contribution{Route: r, Attachment: &r.L4[i]})
		}
		for _, a := range r.Attachments {
			contributions[a.Host] = append(contributions[a.Host], resolve.Contribution{Route: r, Specificity: a.Specificity})
			owners[a.Host] = w.gateways[a.Gateway]
		}
		w.clusters = append(w.clusters, r.Clusters...)
	}
	for _, name := range s.Names(kube.Gateway) {
		for _, l := range w.gateways[name].Sockets {
			w.listeners = append(w.listeners, resolve.Listener(w.gateways[name], l.ID(), sockets[l.ID()]))
		}
	}
	for id, cs := range contributions {
		w.hosts = append(w.hosts, resolve.Host(owners[id], id, cs))
	}
	slices.SortFunc(w.hosts, func(a, b *model.Host) int {
		return strings.Compare(string(a.ID.Table)+" "+a.ID.Name, string(b.ID.Table)+" "+b.ID.Name)
	})
	slices.SortFunc(w.clusters, resolve.CompareClusters)
	w.clusters = slices.Compact(w.clusters)
	return w
}

func routesOf(s *kube.Snapshot) []kube.Ref {
	var out []kube.Ref
	for _, k := range kube.RouteKinds {
		for _, n := range s.Names(k) {
			out = append(out, kube.Ref{Kind: k, Name: n})
		}
	}
	return out
}

func (w *world) attached(g, set types.NamespacedName) map[string]int32 {
	out := map[string]int32{}
	for _, r := range w.routes {
		seen := map[string]bool{}
		for _, p := range r.Parents {
			for _, l := range p.Listeners {
				if p.Gateway == g && p.Set == set && !seen[l] {
					seen[l] = true
					out[l]++
				}
			}
		}
	}
	return out
}

// resolveAll prints a world. Conditions that are as they should be are left out, but that of Accepted of a route.
func resolveAll(s *kube.Snapshot) string {
	var b strings.Builder
	w := worldOf(s)
	for _, name := range s.Names(kube.GatewayClass) {
		c := gateway.ResolveClass(s, name.Name, "headgate.dev/gateway")
		fmt.Fprintf(&b, "class %s ours=%v served=%v\n", c.Name, c.Ours, c.Served)
		printConditions(&b, "  ", c.Conditions)
	}
	for _, name := range s.Names(kube.Gateway) {
		g := w.gateways[name]
		fmt.Fprintf(&b, "gateway %s\n", name)
		printConditions(&b, "  ", g.Conditions)
		printListeners(&b, "  ", g.Listeners, w.attached(name, types.NamespacedName{}))
		for i := range g.Sets {
			set := &g.Sets[i]
			fmt.Fprintf(&b, "  set %s attached=%v\n", set.Name, set.Attached)
			printConditions(&b, "    ", set.Conditions)
			printListeners(&b, "    ", set.Listeners, w.attached(name, set.Name))
		}
		for _, secret := range g.Secrets {
			fmt.Fprintf(&b, "  secret %s\n", secret.ID)
		}
		if g.BackendClient != "" {
			fmt.Fprintf(&b, "  shows backends %s\n", g.BackendClient)
		}
		for _, t := range g.Tables {
			if len(t.Misdirected) > 0 {
				fmt.Fprintf(&b, "  misdirected in %s: %v\n", t.ID, t.Misdirected)
			}
		}
	}
	for _, l := range w.listeners {
		printSocket(&b, l)
	}
	for _, r := range w.routes {
		fmt.Fprintf(&b, "route %s %s\n", r.Kind, r.Name)
		for _, p := range r.Parents {
			section := ""
			if p.Ref.SectionName != nil {
				section = "#" + string(*p.Ref.SectionName)
			}
			if p.Set != (types.NamespacedName{}) {
				section += " of set " + p.Set.String()
			}
			fmt.Fprintf(&b, "  parent %s%s listeners=%v\n", p.Gateway, section, p.Listeners)
			printConditions(&b, "    ", p.Conditions)
		}
	}
	for _, h := range w.hosts {
		fmt.Fprintf(&b, "host %s %s\n", h.ID.Table, h.ID.Name)
		for i := range h.Routes {
			printRoute(&b, &h.Routes[i])
		}
	}
	for _, c := range w.clusters {
		cluster, secrets := backend.Cluster(s, c, "")
		fmt.Fprintf(&b, "cluster %s exists=%v", c, cluster != nil)
		if cluster.TLS != nil {
			fmt.Fprintf(&b, " tls=%+v secrets=%d", *cluster.TLS, len(secrets))
		}
		for _, e := range backend.Endpoints(s, c).List {
			fmt.Fprintf(&b, " %s", e.Address)
			if e.Draining {
				b.WriteString("(draining)")
			}
		}
		b.WriteString("\n")
	}
	for _, name := range s.Names(kube.BackendTLSPolicy) {
		fmt.Fprintf(&b, "policy %s\n", name)
		for _, a := range backend.Policy(s, name, w.gatewaysOf).Ancestors {
			fmt.Fprintf(&b, "  on %s\n", a.Gateway)
			printConditions(&b, "    ", a.Conditions)
		}
	}
	return b.String()
}

// gatewaysOf lists the Gateways with routes to a Service.
func (w *world) gatewaysOf(service types.NamespacedName) []types.NamespacedName {
	var out []types.NamespacedName
	for _, r := range w.routes {
		if slices.ContainsFunc(r.Clusters, func(c model.ClusterID) bool { return types.NamespacedName(c.Service) == service }) {
			for _, a := range r.Attachments {
				out = append(out, a.Gateway)
			}
			for _, a := range r.L4 {
				out = append(out, a.Gateway)
			}
		}
	}
	return out
}

func printListeners(b *strings.Builder, indent string, ls []gateway.Listener, attached map[string]int32) {
	for _, l := range ls {
		kinds := make([]string, len(l.Kinds))
		for i, k := range l.Kinds {
			kinds[i] = string(k.Kind)
		}
		fmt.Fprintf(b, "%slistener %s %s :%d %q kinds=%v attached=%d usable=%v\n", indent, l.Name, l.Protocol, l.Port, l.Hostname, kinds, attached[l.Name], l.Usable)
		printConditions(b, indent+"  ", l.Conditions)
	}
}

func printSocket(b *strings.Builder, l *model.Listener) {
	fmt.Fprintf(b, "socket %s %s %d", l.Gateway, l.Protocol, l.Port)
	if l.Table != "" {
		fmt.Fprintf(b, " table %s", l.Table)
	}
	if l.Protocol == model.TCP || l.Protocol == model.UDP {
		printShares(b, l.Forward)
	}
	b.WriteString("\n")
	for _, c := range l.Chains {
		fmt.Fprintf(b, "  chain %s", c.ServerName)
		if c.Terminate != nil {
			fmt.Fprintf(b, " certificates=%v", c.Terminate.Certificates)
			if v := c.Terminate.Client; v != nil {
				fmt.Fprintf(b, " clients=%+v", *v)
			}
		}
		if c.Table != "" {
			fmt.Fprintf(b, " table %s", c.Table)
		} else {
			printShares(b, c.Forward)
		}
		b.WriteString("\n")
	}
}

func printShares(b *strings.Builder, f *model.L4Forward) {
	if f == nil {
		b.WriteString(" -> closed")
		return
	}
	b.WriteString(" ->")
	for _, s := range f.Shares {
		name := "closed"
		if s.Cluster != (model.ClusterID{}) {
			name = s.Cluster.String()
		}
		fmt.Fprintf(b, " %s*%d", name, s.Weight)
	}
	fmt.Fprintf(b, " (%s)", f.Source.Object())
}

func printConditions(b *strings.Builder, indent string, cs []condition.Condition) {
	for _, c := range cs {
		good := c.Status == metav1.ConditionTrue && (c.Reason == c.Type)
		if !good && c.Reason != "NoConflicts" {
			fmt.Fprintf(b, "%s%s=%s %s: %s\n", indent, c.Type, c.Status, c.Reason, c.Message)
		}
	}
}

func printRoute(b *strings.Builder, r *model.Route) {
	m := &r.Match
	fmt.Fprintf(b, "  %s%s", [...]string{"", "=", "~"}[m.PathKind], m.Path)
	if m.GRPC {
		b.WriteString(" grpc")
	}
	if m.Method != "" {
		fmt.Fprintf(b, " %s", m.Method)
	}
	for _, v := range m.Headers {
		fmt.Fprintf(b, " %s%s", v.Name, value(v))
	}
	for _, v := range m.Query {
		fmt.Fprintf(b, " ?%s%s", v.Name, value(v))
	}
	switch {
	case r.Redirect != nil:
		fmt.Fprintf(b, " -> redirect %d %q %q %d%s", r.Redirect.Code, r.Redirect.Scheme, r.Redirect.Host, r.Redirect.Port, pathEdit(r.Redirect.Path))
	case r.Forward != nil:
		printForward(b, r.Forward)
	default:
		fmt.Fprintf(b, " -> %d", r.Status)
	}
	b.WriteString(edits("request", r.RequestHeaders) + edits("response", r.ResponseHeaders))
	if c := r.CORS; c != nil {
		fmt.Fprintf(b, " cors%+v", *c)
	}
	fmt.Fprintf(b, " (%s %d", r.Source.Name, r.Source.Rule)
	if r.Source.RuleName != "" {
		fmt.Fprintf(b, " %s", r.Source.RuleName)
	}
	fmt.Fprintf(b, ".%d)\n", r.Source.Match)
}

func value(v model.ValueMatch) string {
	if v.Regex {
		return "~" + v.Value
	}
	return "=" + v.Value
}

func pathEdit(p *model.PathEdit) string {
	switch {
	case p == nil:
		return ""
	case p.Prefix:
		return " prefix=" + p.Value
	default:
		return " path=" + p.Value
	}
}

func rewrite(r *model.Rewrite) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf(" rewrite(host=%q%s)", r.Host, pathEdit(r.Path))
}

func edits(what string, e *model.HeaderEdit) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf(" %s(set=%v add=%v remove=%v)", what, e.Set, e.Add, e.Remove)
}

func printForward(b *strings.Builder, f *model.Forward) {
	b.WriteString(" ->")
	for _, be := range f.Backends {
		name := "invalid"
		if be.Cluster != (model.ClusterID{}) {
			name = be.Cluster.String()
		}
		fmt.Fprintf(b, " %s*%d%s%s%s", name, be.Weight, edits("request", be.RequestHeaders), edits("response", be.ResponseHeaders), rewrite(be.Rewrite))
	}
	b.WriteString(rewrite(f.Rewrite))
	if f.Timeout != nil {
		fmt.Fprintf(b, " timeout=%s", *f.Timeout)
	}
	if f.BackendTimeout != nil {
		fmt.Fprintf(b, " backendTimeout=%s", *f.BackendTimeout)
	}
	if f.Retry != nil {
		fmt.Fprintf(b, " retry=%+v", *f.Retry)
	}
	for _, m := range f.Mirrors {
		fmt.Fprintf(b, " mirror(%s %d/%d)", m.Cluster, m.Numerator, m.Denominator)
	}
}
