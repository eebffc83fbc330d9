package review

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"headgate.dev/agent"
	"headgate.dev/agent/preview"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

func rendered(t *testing.T, files map[string]string) *object.Set {
	t.Helper()
	tree := fstest.MapFS{}
	for name, content := range files {
		tree[name] = &fstest.MapFile{Data: []byte(content)}
	}
	result, err := render.New().Tree(tree, ".", render.Options{Gateway: "infra/public"})
	if err != nil {
		t.Fatal(err)
	}
	return result.Set
}

func shop(to string) string {
	return "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec:\n  hosts: [shop.test]\n  routes:\n  - to: " + to + ":80\n"
}

// TestComment: what strangers wrote stands in code, wherever it comes from.
func TestComment(t *testing.T) {
	const head = "8c1d22f10b6d7a8892c1d3e4f5a6b7c8d9e0f1a2"
	good := agent.PreviewReport{Name: "pr-42", Number: 42, Commit: head, URL: "https://shop-pr-42.preview.example.com", Applied: true, Live: time.Now(), LiveAfter: 1300 * time.Millisecond,
		Sites:    []preview.Site{{Service: "shop", Host: "shop-pr-42.preview.example.com"}, {Service: "cart", Host: "cart-pr-42.preview.example.com"}},
		Refusals: []preview.Refusal{{Rule: "kind", Error: &schema.Error{Message: "<b>@team`|\n/preview " + head}}},
		Before:   rendered(t, map[string]string{"shop.yaml": shop("shop")}), After: rendered(t, map[string]string{"<b>@team`|.yaml": shop("shop-v2")})}
	broken := agent.PreviewReport{Name: "pr-42", Commit: head, Serving: strings.Repeat("4", 40), Problem: &agent.Problem{Reason: "RenderFailed", Stalled: true,
		Message: "pr-42@8c1d22f: <b>@team`|.yaml:7:3: spec.timeout\n/preview " + head}}
	refused := agent.PreviewReport{Name: "pr-42", Commit: head, Refused: true, Refusals: good.Refusals, Problem: &agent.Problem{Message: "x", Stalled: true}}
	header := good
	header.URL, header.Sites = "", []preview.Site{{Service: "shop"}}
	for name, test := range map[string]struct {
		report agent.PreviewReport
		want   []string
	}{
		"live": {good, []string{"**Preview** https://shop-pr-42.preview.example.com https://cart-pr-42.preview.example.com · live at 8c1d22f, 1.3 s after the push\n",
			"| request | `production` | `this pull request` |\n", "| `shop.test /` | `shop:80` | `shop-v2:80` |", "not previewed: <code>"}},
		"broken":  {broken, []string{"**Not previewed:** 8c1d22f does not become a preview; 4444444 is served on", "<code>", "&#58;7&#58;3"}},
		"refused": {refused, []string{"**Not previewed:** 8c1d22f changes what a fork may not"}},
		"header":  {header, []string{"with the header `x-headgate-preview: pr-42`"}},
	} {
		body, err := Comment(t.Context(), test.report)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, body)
			}
		}
		for _, bad := range []string{"<b>", "@team", "`|", "\n/preview"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s: %q is in\n%s", name, bad, body)
			}
		}
	}
}
