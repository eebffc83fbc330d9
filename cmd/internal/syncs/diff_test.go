package syncs

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"

	"headgate.dev/cmd/internal/term"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// content reads an object.
func content(t *testing.T, text string) map[string]any {
	t.Helper()
	data, err := yaml.ToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDiff holds that only what differs is shown: neither defaults, nor what the API server or headgate itself writes, nor secrets.
func TestDiff(t *testing.T) {
	s := &schema.Sync{}
	s.Namespace, s.Name = "team-a", "shop"
	s.Status.Revision = "main@sha1:51be7aa0b6d7a8892c1d3e4f5a6b7c8d9e0f1a24"
	d := NewDiff(s, "main@4f2a9c1")
	write := func(file, live, would string) {
		t.Helper()
		desired, err := object.New(content(t, would), object.Origin{File: file, Line: 1, Column: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var old map[string]any
		if live != "" {
			old = content(t, live)
		}
		if err := d.Write(desired, old, desired.Content); err != nil {
			t.Fatal(err)
		}
	}
	meta := func(name, more string) string {
		return "{name: " + name + ", namespace: team-a, uid: u, managedFields: [{manager: " + more + "}], resourceVersion: '" + more + "', generation: 3, creationTimestamp: '" + more +
			"', labels: {headgate.dev/sync: shop, headgate.dev/sync-namespace: team-a}, annotations: {headgate.dev/applied: a" + more + "}}"
	}
	write("cart.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: "+meta("cart", "1")+"\nspec: {rules: [{timeouts: {request: 5s}, weight: 1}]}\nstatus: {parents: [1]}\n",
		"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: "+meta("cart", "2")+"\nspec: {rules: [{timeouts: {request: 10s}, weight: 1}]}\nstatus: {parents: [2]}\n")
	write("same.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: "+meta("same", "1")+"\ndata: {a: b}\n", "apiVersion: v1\nkind: ConfigMap\nmetadata: "+meta("same", "2")+"\ndata: {a: b}\n")
	write("key.yaml", "apiVersion: v1\nkind: Secret\nmetadata: "+meta("key", "1")+"\ndata: {a: Y2FuYXJ5}\n", "apiVersion: v1\nkind: Secret\nmetadata: "+meta("key", "2")+"\ndata: {a: Y2FuYXJ5Mg==}\n")
	write("new.yaml", "", "apiVersion: v1\nkind: Secret\nmetadata: {name: new, namespace: team-a}\ndata: {a: Y2FuYXJ5}\n")
	d.Remove(object.ID{Kind: "Service", Namespace: "team-a", Name: "old"})
	d.Kept = append(d.Kept, "ConfigMap team-a/kept: prune is off")
	d.Refused = append(d.Refused, "bad.yaml:3:1: trying Service team-a/bad: spec.ports[0].port: Invalid value: 70000")

	var text, markdown bytes.Buffer
	d.Text(&text, term.Style{})
	const want = `team-a/shop main@51be7aa → main@4f2a9c1: objects: 1 added, 2 changed, 1 removed, 1 as they are
  ~ HTTPRoute team-a/cart  cart.yaml:1:1
      spec.rules[0].timeouts.request  5s → 10s  cart.yaml:1:1
  ~ Secret team-a/key  key.yaml:1:1
      data.a  ***** → *****  key.yaml:1:1
  + Secret team-a/new  new.yaml:1:1
  - Service team-a/old
  = stays: ConfigMap team-a/kept: prune is off
  ! refused: bad.yaml:3:1: trying Service team-a/bad: spec.ports[0].port: Invalid value: 70000
`
	if text.String() != want {
		t.Errorf("got\n%s\nexpected\n%s", &text, want)
	}
	d.Markdown(&markdown)
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{markdown.String(), string(data)} {
		if strings.Contains(printed, "Y2Fu") || !strings.Contains(printed, "HTTPRoute team-a/cart") || !strings.Contains(printed, "70000") {
			t.Errorf("got\n%s", printed)
		}
	}
}
