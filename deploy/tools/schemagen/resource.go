package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// resourceMark is in the doc comment of every struct of a custom resource; controller-gen reads it.
const resourceMark = "+kubebuilder:object:"

// isResource tells whether a struct belongs to a custom resource, which has a page of its own and no JSON Schema here:
// its schema is the CRD's.
func isResource(doc string) bool { return strings.Contains(doc, resourceMark) }

// resource is a custom resource with a page of its own.
type resource struct {
	// page and sources are names of files in the directory of package schema.
	page    string
	sources []string
	intro   string
	// parts of the page: the type and where its values stand.
	parts []resourcePart
}

type resourcePart struct{ typeName, title string }

var resources = []resource{
	{"proxyconfig.md", []string{"proxyconfig.go"}, proxyConfigIntro, []resourcePart{
		{"ProxyConfigSpec", "spec"}, {"ProxyAutoscaling", "spec.autoscaling"}, {"ProxyDrain", "spec.drain"},
		{"ProxyLogging", "spec.logging"}, {"ProxyService", "spec.service"},
	}},
	{"sync.md", []string{"sync.go", "sync_drift.go", "sync_notify.go", "sync_status.go", "sync_previews.go"}, syncIntro, []resourcePart{
		{"SyncSpec", "spec"}, {"SyncRef", "spec.ref"}, {"SyncSecret", "spec.secretRef"}, {"SyncProxy", "spec.proxy"},
		{"SyncVerify", "spec.verify"}, {"SyncReference", "spec.dependsOn[]"}, {"SyncSubstitute", "spec.substitute"},
		{"SyncSubstituteFrom", "spec.substitute.from[]"}, {"SyncIgnore", "spec.ignore[]"}, {"SyncSelector", "spec.ignore[].target"},
		{"SyncDrift", "spec.drift"}, {"SyncDriftRule", "spec.drift.rules[]"}, {"SyncDriftPause", "spec.drift.pause"}, {"SyncNotify", "spec.notify[]"},
		{"SyncPreviews", "spec.previews"}, {"PreviewPullRequests", "spec.previews.pullRequests"}, {"PreviewBranches", "spec.previews.branches"},
		{"PreviewImage", "spec.previews.images[]"}, {"PreviewLimit", "spec.previews.limit"}, {"PreviewForks", "spec.previews.forks"},
		{"SyncStatus", "status"}, {"SyncLiveStatus", "status.live"}, {"SyncGatewayStatus", "status.live.gateways[]"},
		{"SyncStages", "status.live.stages"}, {"SyncInventory", "status.inventory"}, {"SyncDriftStatus", "status.drift"},
		{"SyncHistory", "status.history[]"},
	}},
	{"preview.md", []string{"preview.go"}, previewIntro, []resourcePart{
		{"PreviewSpec", "spec"}, {"PreviewStatus", "status"}, {"PreviewSite", "status.sites[]"},
	}},
}

const previewIntro = "# Preview\n" + `
The custom resource of one open pull request, or one branch, that a Sync with previews serves. Headgate makes and removes it. This page is generated from
the type and its comments by ` + "`make generate`; `kubectl explain preview.spec` says the same in a cluster." + `

` + "```yaml" + `
apiVersion: headgate.dev/v1alpha1
kind: Preview
metadata: {name: shop-pr-42, namespace: team-a}
spec:
  sync: shop
  name: pr-42
  number: 42
  author: ada
  commit: 8c1d22f10b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
  base: 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
` + "```\n" + `
It is owned by its Sync and ends with it, with its pull request, by its age, or when it is deleted. What it is made of is in the namespace preview-SYNC-N and, for
routes, beside the routes of production that they are made from.
`

const proxyConfigIntro = "# ProxyConfig\n" + `
The custom resource that shapes the Envoys of a Gateway. This page is generated from the type and its comments by
` + "`make generate`; `kubectl explain proxyconfig.spec` says the same in a cluster." + `

` + "```yaml" + `
apiVersion: headgate.dev/v1alpha1
kind: ProxyConfig
metadata: {name: edge, namespace: infra}
spec:
  replicas: 3
  service:
    annotations: {service.beta.kubernetes.io/azure-load-balancer-internal: "true"}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: infra}
spec:
  gatewayClassName: headgate
  infrastructure:
    parametersRef: {group: headgate.dev, kind: ProxyConfig, name: edge}
  listeners:
  - {name: http, port: 80, protocol: HTTP}
` + "```\n" + `
What a Gateway's ProxyConfig says wins over what its class's says, field by field, also inside autoscaling, drain, logging and
service; labels and annotations add up; any other list or map is taken as a whole.
`

const syncIntro = "# Sync\n" + `
The custom resource that makes what is at a Git reference what runs. This page is generated from the type and its comments by
` + "`make generate`; `kubectl explain sync.spec` says the same in a cluster." + `

` + "```yaml" + `
apiVersion: headgate.dev/v1alpha1
kind: Sync
metadata: {name: shop, namespace: team-a}
spec:
  url: https://git.example.com/team-a/shop
  ref: {branch: main}
  path: deploy
  gateway: infra/public
  serviceAccountName: shop-deployer
` + "```\n" + `
Everything in the cluster happens as the service account, and Secrets and ConfigMaps are read from the Sync's own namespace. An object
that the Sync made has the labels headgate.dev/sync and headgate.dev/sync-namespace; another Sync that renders the same object is refused
and told who owns it. The annotation headgate.dev/prune: disabled keeps an object from being removed.
`

// render gives the page.
func (r resource) render(dir string) ([]byte, error) {
	structs := map[string]*ast.StructType{}
	docs := map[string]string{}
	for _, source := range r.sources {
		if err := readResource(filepath.Join(dir, source), structs, docs); err != nil {
			return nil, err
		}
	}
	var b strings.Builder
	b.WriteString(r.intro)
	for _, part := range r.parts {
		s := structs[part.typeName]
		if s == nil {
			return nil, fmt.Errorf("there is no type %s", part.typeName)
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", part.title, docs[part.typeName])
		b.WriteString("| field | type | meaning | default | limits | example | becomes |\n|---|---|---|---|---|---|---|\n")
		for _, f := range s.Fields.List {
			resourceRow(&b, f)
		}
	}
	return []byte(b.String()), nil
}

// readResource adds the structs of custom resources in a file, and their comments.
func readResource(path string, structs map[string]*ast.StructType, docs map[string]string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("reading the types of a custom resource: %w", err)
	}
	for _, decl := range file.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE || !isResource(g.Doc.Text()) {
			continue
		}
		t := g.Specs[0].(*ast.TypeSpec)
		structs[t.Name.Name], docs[t.Name.Name] = t.Type.(*ast.StructType), oneLine(withoutMarks(g.Doc.Text()))
	}
	return nil
}

func resourceRow(b *strings.Builder, f *ast.Field) {
	field, ok := parseField(f)
	if !ok {
		return
	}
	c := parseComment(withoutMarks(f.Doc.Text()), "", "")
	name := "`" + field.name + "`"
	if c.required {
		name += " (required)"
	}
	cells := []string{name, typeWords(f.Type), plain(c.meaning), plain(bare(c.standard)), plain(bare(c.limits)), code(c.example), code(c.becomes)}
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", "\\|")
	}
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// typeWords names a Go type as its values are written.
func typeWords(t ast.Expr) string {
	switch e := t.(type) {
	case *ast.StarExpr:
		return typeWords(e.X)
	case *ast.ArrayType:
		return strings.Replace("list of "+typeWords(e.Elt), "list of text", "list of texts", 1)
	case *ast.MapType:
		return "map of texts"
	case *ast.SelectorExpr:
		switch name := e.Sel.Name; name {
		case "ServiceType", "ServiceExternalTrafficPolicy", "IPFamilyPolicy", "IPFamily":
			return "text"
		case "Time", "MicroTime":
			return "time"
		default:
			return name + " of Kubernetes"
		}
	case *ast.Ident:
		switch e.Name {
		case "int32", "int64":
			return "number"
		case "bool":
			return "true or false"
		case "ProxyDuration", "SyncDuration":
			return "duration"
		case "string", "StaticAddresses", "DeletionPolicy", "VerifyMode", "SyncResult", "DriftPolicy", "Severity", "NotifyType", "NotifyEventType", "PreviewMode":
			return "text"
		}
	}
	return "map"
}

// withoutMarks takes the lines for controller-gen out of a comment.
func withoutMarks(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "+") {
			out.WriteString(line)
		}
	}
	return out.String()
}
