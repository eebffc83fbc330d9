package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// crd is what a file says about a kind of Gateway API.
type crd struct {
	Kind   string
	Schema property
}

// property is a JSON Schema of a field.
type property struct {
	Type       string
	Properties map[string]property
	Items      *property
}

// kindOrder is the order of the kinds on the page.
var kindOrder = []string{"Gateway", "HTTPRoute", "GRPCRoute", "TCPRoute", "UDPRoute", "TLSRoute", "BackendTLSPolicy", "ReferenceGrant", "ListenerSet", "GatewayClass"}

// readCRDs reads every kind of a directory.
func readCRDs(dir string) (map[string]crd, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	out := map[string]crd{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var c crd
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, fmt.Errorf("decoding %s: %w", name, err)
		}
		out[c.Kind] = c
	}
	return out, nil
}

// leaves gives the paths of the fields that have no fields of their own.
func leaves(p property, at string) []string {
	switch {
	case p.Items != nil:
		return leaves(*p.Items, at+"[]")
	case len(p.Properties) == 0:
		return []string{at}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		out = append(out, leaves(p.Properties[name], at+"."+name)...)
	}
	return out
}

const coverageIntro = `
## Gateway API

Every field of the standard channel of Gateway API v1.7, and by what it is reached: a field of a spec, a patch in it, or the
object itself beside the specs, which passes through as it is.
`

// coverage writes the table of all fields.
func (g *generator) coverage(crds map[string]crd) string {
	var b strings.Builder
	b.WriteString(coverageIntro)
	used := map[way]bool{}
	for _, kind := range kindOrder {
		fmt.Fprintf(&b, "\n### %s\n\n| field | reached by |\n|---|---|\n", kind)
		for _, leaf := range leaves(crds[kind].Schema.Properties["spec"], "spec") {
			w := wayTo(kind, leaf)
			if w.by == "" {
				g.problemf("%s %s is reached by nothing", kind, leaf)
				continue
			}
			used[w] = true
			by := w.by
			if by != patch && by != raw {
				by = "`" + strings.ReplaceAll(by, ", ", "`, `") + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", leaf, by)
		}
	}
	for _, w := range ways {
		if !used[w] {
			g.problemf("%s has no field %s that is reached by %s", w.kind, w.path, w.by)
		}
	}
	for kind := range crds {
		if !slices.Contains(kindOrder, kind) {
			g.problemf("the kind %s has no part on the page", kind)
		}
	}
	return b.String()
}

// wayTo gives the way with the longest path above a field.
func wayTo(kind, leaf string) way {
	var best way
	for _, w := range ways {
		rest, below := strings.CutPrefix(leaf, w.path)
		if below && w.kind == kind && (rest == "" || rest[0] == '.' || rest[0] == '[') && len(w.path) > len(best.path) {
			best = w
		}
	}
	return best
}
