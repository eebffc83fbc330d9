// Command schemagen writes what describes the files users write: the JSON Schemas (draft 2020-12) and the field
// reference, both from the types of package schema and their doc comments.
//
//	schemagen DIR CRDS
//
// DIR is the directory of package schema, CRDS that of the definitions of Gateway API. servicespec.schema.json,
// gatewayspec.schema.json, headgate.schema.json (both, chosen by kind), README.md, and a page for
// each custom resource (proxyconfig.md, sync.md, preview.md) are written to DIR.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

const (
	apiVersion = "headgate.dev/v1alpha1"
	baseURL    = "https://headgate.dev/schema/"
)

// kinds are the kinds of specs, each with the type of its spec.
var kinds = []struct{ kind, spec, file string }{
	{"ServiceSpec", "Service", "servicespec"},
	{"GatewaySpec", "Gateway", "gatewayspec"},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("two arguments are needed, the directories of package schema and of the definitions of Gateway API")
	}
	dir := args[0]
	types, err := parse(dir)
	if err != nil {
		return err
	}
	g := &generator{types: types}
	outputs := map[string][]byte{}
	for _, k := range kinds {
		outputs[k.file+".schema.json"], err = encode(g.document(k.kind, k.spec, k.file))
		if err != nil {
			return fmt.Errorf("encoding the schema of %s: %w", k.kind, err)
		}
	}
	if outputs["headgate.schema.json"], err = encode(g.combined()); err != nil {
		return fmt.Errorf("encoding the combined schema: %w", err)
	}
	crds, err := readCRDs(args[1])
	if err != nil {
		return fmt.Errorf("reading the definitions of Gateway API: %w", err)
	}
	outputs["README.md"] = append(g.reference(), g.coverage(crds)...)
	for _, r := range resources {
		if outputs[r.page], err = r.render(dir); err != nil {
			return err
		}
	}
	if len(g.problems) > 0 {
		return fmt.Errorf("generating: %v", g.problems)
	}
	for name, data := range outputs {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}
