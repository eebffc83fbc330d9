package render_test

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
)

const seeds = 40

// TestRandomTreesRenderAsKustomizeDoes makes up trees of kustomizations that build on each other in all ways, and compares
// what they render to with what kustomize makes of them.
func TestRandomTreesRenderAsKustomizeDoes(t *testing.T) {
	for seed := range uint64(seeds) {
		g := &grower{rand: rand.New(rand.NewPCG(seed, 1)), files: map[string]string{}}
		g.kustomization(".", 3)
		if difference := compareWithPlain(g.files, "."); difference != "" {
			var b strings.Builder
			for _, name := range sorted(g.count()) {
				fmt.Fprintf(&b, "-- %s --\n%s", name, g.files[name])
			}
			t.Errorf("seed %d: %s\n%s", seed, difference, &b)
		}
	}
}

// grower grows a tree at random.
type grower struct {
	rand  *rand.Rand
	files map[string]string
	dirs  []string // of finished kustomizations
}

func (g *grower) count() map[string]int {
	out := map[string]int{}
	for name := range g.files {
		out[name]++
	}
	return out
}

func (g *grower) chance(percent int) bool { return g.rand.IntN(100) < percent }

func (g *grower) pick(texts ...string) string { return texts[g.rand.IntN(len(texts))] }

// kustomization writes the kustomization of a directory and what is below it, down to a depth.
func (g *grower) kustomization(dir string, depth int) {
	var b strings.Builder
	b.WriteString("resources:\n")
	resources := 0
	for i := range g.rand.IntN(4) {
		name := fmt.Sprintf("f%d.yaml", i)
		g.files[path.Join(dir, name)] = g.object()
		fmt.Fprintf(&b, "- %s\n", name)
		resources++
	}
	for i := 0; depth > 0 && i < 1+g.rand.IntN(3); i++ {
		name := fmt.Sprintf("d%d", i)
		g.kustomization(path.Join(dir, name), depth-1-g.rand.IntN(2))
		fmt.Fprintf(&b, "- %s\n", name)
		resources++
	}
	if resources == 0 {
		g.files[path.Join(dir, "one.yaml")] = g.object()
		b.WriteString("- one.yaml\n")
	}
	g.decorate(&b)
	g.files[path.Join(dir, "kustomization.yaml")] = b.String()
}

func (g *grower) decorate(b *strings.Builder) {
	for _, line := range []struct {
		percent int
		text    string
	}{
		{12, "namePrefix: " + g.pick("a-", "b-") + "\n"},
		{10, "nameSuffix: " + g.pick("-y", "-z") + "\n"},
		{15, "namespace: " + g.pick("one", "two") + "\n"},
		// Where kustomize sets a label and its selector, they share a node: setting the label again changes both. Hence
		// the different names.
		{15, g.pick("labels: [{pairs: {s: "+g.pick("x", "w")+"}, includeSelectors: true}]\n", "labels: [{pairs: {l: "+g.pick("x", "w")+"}}]\n")},
		{8, "commonLabels: {c: x}\n"},
		{10, "commonAnnotations: {an: x}\n"},
		{12, "configMapGenerator: [{name: " + g.pick("m1", "m2") + ", literals: [a=" + g.pick("1", "2") + "]}]\n"},
		{8, "secretGenerator: [{name: s1, literals: [a=b], options: {disableNameSuffixHash: " + g.pick("true", "false") + "}}]\n"},
		{8, "images: [{name: web, newTag: v2}]\n"},
		{8, "patches: [{target: {kind: " + g.pick("Deployment", "ConfigMap|Service", "Secret") + "}, patch: '- {op: add, path: /metadata/labels, value: {p: q}}'}]\n"},
	} {
		if g.chance(line.percent) {
			b.WriteString(line.text)
		}
	}
}

// object gives an object of one of few names, so that they refer to each other, and now and then clash.
func (g *grower) object() string {
	g.dirs = append(g.dirs, "")
	name := fmt.Sprintf("o%d", len(g.dirs))
	if g.chance(20) {
		name = g.pick("m1", "s1", "web")
	}
	other := func() string { return fmt.Sprintf("o%d", 1+g.rand.IntN(len(g.dirs)+1)) }
	namespace := g.pick("", "", ", namespace: one")
	switch g.rand.IntN(6) {
	case 0:
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s%s}\ndata: {k: v}\n", name, namespace)
	case 1:
		return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s%s}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n", name, namespace)
	case 2:
		return fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: %s%s}\nspec: {defaultBackend: {service: {name: %s}}}\n",
			name, namespace, g.pick(other(), "web"))
	case 3:
		return fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s%s}\n", name, namespace)
	case 4:
		return fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: %s%s}\n"+
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: %s%s}]\n",
			name, namespace, other(), g.pick("", ", namespace: one"))
	default:
		return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s%s}\nspec:\n  template:\n    spec:\n"+
			"      serviceAccountName: %s\n      containers: [{name: web, image: web, envFrom: [{configMapRef: {name: %s}}, {secretRef: {name: %s}}]}]\n",
			name, namespace, other(), g.pick("m1", "m2", other()), g.pick("s1", other()))
	}
}
