package kustomize

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// files is a tree in memory.
type files map[string]string

func archive(text string) files {
	f := files{}
	for _, file := range txtar.Parse([]byte(text)).Files {
		f[file.Name] = string(file.Data)
	}
	return f
}

func (f files) Kind(name string) (Kind, error) {
	if name == "." {
		return Directory, nil
	}
	if _, ok := f[name]; ok {
		return Regular, nil
	}
	for other := range f {
		if strings.HasPrefix(other, name+"/") {
			return Directory, nil
		}
	}
	return Missing, nil
}

func (f files) Read(name string) ([]byte, error) {
	text, ok := f[name]
	if !ok {
		return nil, fmt.Errorf("reading %s: %w", name, fs.ErrNotExist)
	}
	return []byte(text), nil
}

func (f files) Documents(name string) ([]schema.Document, error) {
	data, err := f.Read(name)
	if err != nil {
		return nil, err
	}
	docs, errs := schema.Documents(name, data, schema.Limits{})
	if len(errs) > 0 {
		return nil, errs
	}
	return docs, nil
}

// build gives the objects of a directory as YAML without position, and as nodes.
func build(t testing.TB, f Files, dir string) ([]*schema.Node, error) {
	t.Helper()
	b, err := Walk(f, dir)
	if err != nil {
		return nil, err
	}
	return b.Run()
}

const overlay = `
-- base/kustomization.yaml --
resources: [shop.yaml, service.yaml]
-- base/shop.yaml --
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata:
  name: shop
spec:
  hosts: [shop.example.com]
  service: shop
  port: 8080
-- base/service.yaml --
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  ports: [{port: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: raw}
spec:
  parentRefs: [{name: public}]
  rules:
  - backendRefs:
    - {name: shop, port: 8080}
    filters:
    - type: RequestMirror
      requestMirror: {backendRef: {name: shop, port: 8080}}
-- prod/kustomization.yaml --
resources: [../base]
namePrefix: dev-
namespace: prod
patches:
- path: patch.yaml
- target: {kind: ServiceSpec}
  patch: |-
    - op: add
      path: /spec/routes
      value:
      - path: /api
        rediret: {path: /new}
configMapGenerator:
- name: settings
  files: [settings.txt]
  literals: [a=b]
-- prod/settings.txt --
hello
-- prod/patch.yaml --
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec:
  port: 9090
`

func TestPositionsAfterBuild(t *testing.T) {
	nodes, err := build(t, archive(overlay), "prod")
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[string]*schema.Node{}
	for _, n := range nodes {
		byKind[textAt(n, "/kind")] = n
		t.Logf("%s", object.AppendJSON(nil, n.Value()))
	}
	for _, want := range []struct{ kind, pointer, text, at string }{
		{"ServiceSpec", "/spec/hosts/0", "shop.example.com", "base/shop.yaml:6:11"},
		{"ServiceSpec", "/spec/port", "9090", "prod/patch.yaml:5:9"},
		{"ServiceSpec", "/spec/service", "dev-shop", "base/shop.yaml:7:12"},
		{"ServiceSpec", "/spec/routes/0/rediret/path", "/new", "prod/kustomization.yaml:12"},
		{"HTTPRoute", "/spec/rules/0/backendRefs/0/name", "dev-shop", "base/service.yaml:14:14"},
		{"HTTPRoute", "/spec/rules/0/filters/0/requestMirror/backendRef/name", "dev-shop", "base/service.yaml:17:"},
		{"HTTPRoute", "/spec/rules/0/backendRefs/0/port", "8080", "base/service.yaml:14:26"},
		{"HTTPRoute", "/spec/parentRefs/0/name", "public", "base/service.yaml:11:23"},
		{"ConfigMap", "/data/settings.txt", "hello\n", "prod/kustomization.yaml:14:3"},
	} {
		n := byKind[want.kind].Get(want.pointer)
		if n == nil || n.Text != want.text || !strings.HasPrefix(n.Pos.String(), want.at) {
			t.Errorf("%s %s: got %+v, want %q at %s", want.kind, want.pointer, n, want.text, want.at)
		}
	}
}

func wrong(err error) string {
	var errs schema.Errors
	if errors.As(err, &errs) {
		return errs.Error()
	}
	return fmt.Sprint("no schema.Errors: ", err)
}

func TestNothingOfTheStageShows(t *testing.T) {
	f := archive(overlay)
	f["base/service.yaml"] += "---\napiVersion: v1\nkind: Service\nmetadata: {name: shop}\n"
	f["base/deep/x.yaml"] = "{}"
	_, err := build(t, f, "prod")
	if text := wrong(err); strings.Contains(text, "hgf") || strings.Contains(text, "hgk") || !strings.Contains(text, "base/service.yaml") {
		t.Errorf("got %s", text)
	}
}
