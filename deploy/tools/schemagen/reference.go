package main

import (
	"fmt"
	"strings"
)

const intro = "# Field reference\n" + `
The files headgate expands itself. They live beside any other manifest in the repository; kustomize overlays, patches and
labels work on them. Everything here is checked before anything changes; an error names file, line, column and field.

` + "For completion and checks in an editor with a YAML language server:\n\n" +
	"```yaml\n# yaml-language-server: $schema=" + baseURL + "servicespec.schema.json\n```\n" + `
` + "`headgate schema` prints the schemas; they are also in this directory. " +
	`This page is generated from the types and their comments by
` + "`make generate`." + `

How things are written:

- A value with a short and a long form may be written either way wherever it stands.
- A duration is written as Gateway API has it (GEP-2257): ` + "`5s`, `1m30s`, `500ms`; `1.5s` is taken and becomes `1s500ms`" + `.
- Text that begins with ` + "`*`, `@`, `` ` ``, `%`, `{`, `[` or has `: `" + ` in it is quoted; inside braces and brackets also text with any of
  ` + "`{ } [ ] , ?`" + ` in it. A lone ` + "`~`" + ` is null. YAML is read as YAML 1.2: yes, no, on and off are text.
- Every list and map has at least one item; what is not wanted is left out.
`

// headings are the parts of the page: the type and where its values stand.
var headings = []struct{ kind, typeName, title string }{
	{"ServiceSpec", "Metadata", "metadata"}, {"", "Service", "spec"}, {"", "Route", "spec.routes[]"}, {"", "Backend", "spec.routes[].to[]"},
	{"", "Retry", "spec.routes[].retry"}, {"", "Redirect", "spec.routes[].redirect"}, {"", "Rewrite", "spec.routes[].rewrite"},
	{"", "HeaderChange", "spec.routes[].requestHeaders, spec.routes[].responseHeaders"}, {"", "Mirror", "spec.routes[].mirror[]"},
	{"", "MirrorBackend", "spec.routes[].mirror[].to"}, {"", "CORS", "spec.routes[].cors"},
	{"", "GRPC", "spec.grpc[]"}, {"", "GRPCMethod", "spec.grpc[].method[]"}, {"", "GRPCBackend", "spec.grpc[].to[]"},
	{"", "Stream", "spec.tcp[], spec.udp[]"}, {"", "TLS", "spec.tls[]"}, {"", "StreamBackend", "spec.tcp[].to[], spec.udp[].to[], spec.tls[].to[]"},
	{"", "BackendTLS", "spec.backendTLS"}, {"", "CARef", "spec.backendTLS.ca[]"}, {"", "SAN", "spec.backendTLS.sans[]"},
	{"GatewaySpec", "Gateway", "spec"}, {"", "GatewayHost", "spec.hosts[]"}, {"", "GatewayPort", "spec.ports[]"},
	{"", "PortHost", "spec.ports[].hosts[]"}, {"", "Allow", "spec.allow"}, {"", "ClientAuth", "spec.clientAuth"}, {"", "Address", "spec.addresses[]"}, {"", "Infrastructure", "spec.infrastructure"},
	{"", "ParametersRef", "spec.infrastructure.parameters"},
	{"Patches", "Patch", "spec.patches[]"}, {"", "PatchTarget", "spec.patches[].target"}, {"", "PatchOperation", "spec.patches[].patch[]"},
}

// reference gives README.md.
func (g *generator) reference() []byte {
	var b strings.Builder
	b.WriteString(intro)
	described := map[string]bool{}
	for _, h := range headings {
		described[h.typeName] = true
		if h.kind != "" {
			fmt.Fprintf(&b, "\n## %s\n", h.kind)
			if t, ok := g.types[h.kind]; ok {
				fmt.Fprintf(&b, "\n%s\n", t.doc)
			}
		}
		t := g.types[h.typeName]
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", h.title, t.doc)
		b.WriteString("| field | type | meaning | default | limits | example | Gateway API |\n|---|---|---|---|---|---|---|\n")
		for _, f := range t.fields {
			g.row(&b, h.typeName, f)
		}
	}
	for name := range g.types {
		if !described[name] && name != "ServiceSpec" && name != "GatewaySpec" {
			g.problemf("the type %s has no part in the reference", name)
		}
	}
	return []byte(b.String())
}

func (g *generator) row(b *strings.Builder, owner string, f structField) {
	name := "`" + f.name + "`"
	if f.doc.required {
		name += " (required)"
	}
	cells := []string{
		name, g.words(owner, f), plain(sentence(f)), plain(bare(f.doc.standard)), plain(bare(f.doc.limits)),
		code(f.doc.example), code(f.doc.becomes),
	}
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", "\\|")
	}
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// words names the type of a field.
func (g *generator) words(owner string, f structField) string {
	form, ok := forms[f.typeName]
	either := f.list && oneOrList[owner+"."+f.goName]
	switch {
	case weighted[owner+"."+f.goName]:
		return "backend, map of backends to weights, or list"
	case ok && either:
		return form.words + " or list of " + form.plural
	case short[f.typeName] != nil && either:
		return "text, map, or list of them"
	case short[f.typeName] != nil:
		return f.counted("text or map", "list of texts or maps")
	case ok:
		return f.counted(form.words, "list of "+form.plural)
	case either:
		return "map or list of maps"
	}
	return f.counted("map", "list of maps")
}

// counted is one or the other, as the field is a list or not.
func (f *structField) counted(one, list string) string {
	if f.list {
		return list
	}
	return one
}

// sentence is the meaning with the field's name as a word of English ("CA", not "ca").
func sentence(f structField) string {
	if rest, ok := strings.CutPrefix(f.doc.meaning, f.name+" "); ok {
		return f.goName + " " + rest
	}
	return f.doc.meaning
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// plain keeps Markdown from reading a text's stars as emphasis.
func plain(text string) string { return strings.ReplaceAll(text, "*", "\\*") }

// bare takes the full stop away, which a cell of a table does not need.
func bare(text string) string {
	if strings.HasSuffix(text, "...") {
		return text
	}
	return strings.TrimSuffix(text, ".")
}
