package schema

import (
	"embed"
	"fmt"
	"strings"

	"headgate.dev/schema/source"
)

//go:embed *.schema.json
var schemas embed.FS

// JSONSchema gives the JSON Schema (draft 2020-12) of a kind of spec, or with kind "" the one for all of them, which
// lets other API versions pass. The error names the kinds there are.
func JSONSchema(kind string) ([]byte, error) {
	name := strings.ToLower(kind)
	switch kind {
	case "":
		name = "headgate"
	case KindServiceSpec, KindGatewaySpec:
	default:
		return nil, fmt.Errorf("there is no schema of kind %q%s", kind, source.DidYouMean(kind, []string{KindServiceSpec, KindGatewaySpec}))
	}
	return schemas.ReadFile(name + ".schema.json")
}
