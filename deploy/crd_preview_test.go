package deploy

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// TestSyncPreviews holds which previews of a Sync an API server takes, and what it says about the others.
func TestSyncPreviews(t *testing.T) {
	crd := build(t, "crds")["CustomResourceDefinition /syncs.headgate.dev"].object.(*apiextensionsv1.CustomResourceDefinition)
	check := checker(t, internalOf(t, crd))
	for _, c := range []specCase{
		{`pullRequests: {}, domain: preview.example.com`, ""},
		{`branches: {names: ["feature/*"]}, mode: header`, ""},
		{`domain: preview.example.com`, "name one of the two"},
		{`pullRequests: {}, branches: {names: [a]}, domain: preview.example.com`, "name one of the two"},
		{`branches: {}, domain: a`, "names"},
		{`pullRequests: {}`, "need a domain"},
		{`pullRequests: {}, mode: both`, "need a domain"},
		{`pullRequests: {}, mode: path, domain: a`, "spec.previews.mode"},
		{`pullRequests: {}, domain: "*.example.com"`, "spec.previews.domain"},
		{`pullRequests: {}, domain: a, host: "{{.Name}}--{{ .Service }}"`, ""},
		{`pullRequests: {}, domain: a, host: "{{.Service}}"`, "previews share a host"},
		{`pullRequests: {}, domain: a, host: "{{.Namespace}}-{{.Service}}"`, "previews share a host"},
		{`pullRequests: {}, domain: a, host: "{{.Service}}-{{.Name}}-{{.Title}}"`, "spec.previews.host"},
		{`pullRequests: {}, domain: a, host: "{{.Service}}.{{.Name}}"`, "spec.previews.host"},
		{`pullRequests: {}, domain: a, gateway: infra/public#https`, ""},
		{`pullRequests: {}, domain: a, gateway: public`, "spec.previews.gateway"},
		{`pullRequests: {}, domain: a, images: [{name: shop, newTag: "{{.SHA}}"}]`, ""},
		{`pullRequests: {}, domain: a, images: [{name: shop}]`, "newName or newTag"},
		{`pullRequests: {}, domain: a, limit: {total: 0}`, "spec.previews.limit.total"},
		{`pullRequests: {}, domain: a, ttl: 72h, maxAge: 336h`, ""},
		{`pullRequests: {}, domain: a, ttl: 72s`, "spec.previews.ttl"},
		{`pullRequests: {authors: ["!renovate[bot]"], labels: [preview], targets: [main], drafts: true}, domain: a, forks: {label: safe, registries: [ghcr.io/a]}`, ""},
	} {
		checkSpecs(t, check, []specCase{{"{url: 'https://git.example.com/a', previews: {" + c.spec + "}}", c.want}})
	}
}

// TestPreviews holds which Previews an API server takes, and what is listed of them.
func TestPreviews(t *testing.T) {
	crd := build(t, "crds")["CustomResourceDefinition /previews.headgate.dev"].object.(*apiextensionsv1.CustomResourceDefinition)
	const commits = `commit: 8c1d22f10b6d7a8892c1d3e4f5a6b7c8d9e0f1a2, base: 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2`
	checkSpecs(t, checker(t, internalOf(t, crd)), []specCase{
		{`{sync: shop, name: pr-42, number: 42, author: ada, ` + commits + `}`, ""},
		{`{sync: shop, name: feature-cart, branch: feature/cart, ` + commits + `, pin: true}`, ""},
		{`{sync: shop, name: pr-42, ` + commits + `}`, "of a pull request or of a branch"},
		{`{sync: shop, name: pr-42, number: 42, branch: x, ` + commits + `}`, "of a pull request or of a branch"},
		{`{sync: shop, name: PR-42, number: 42, ` + commits + `}`, "spec.name"},
		{`{sync: shop, name: pr-42, number: 42, commit: 8c1d22f, base: 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2}`, "spec.commit"},
	})
	columns := []string{}
	for _, c := range crd.Spec.Versions[0].AdditionalPrinterColumns {
		if c.Priority == 0 {
			columns = append(columns, strings.ToUpper(c.Name))
		}
	}
	if got := strings.Join(columns, " "); got != "URL REVISION LIVE AUTHOR AGE" {
		t.Errorf("columns: %s", got)
	}
}
