package admit

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	rules "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiserver/pkg/apis/cel"
)

// The files hold what the CustomResourceDefinitions of the Gateway API module say, without descriptions.
//
//go:generate go test -run ^TestFilesAreCurrent$ . -update
//go:embed crds/*.json
var files embed.FS

// definition is what a file says about a kind. All served versions have the same schema.
type definition struct {
	Kind       string          `json:"kind"`
	Namespaced bool            `json:"namespaced"`
	Status     bool            `json:"status"` // is a subresource, so that it is not written with the object
	Served     []string        `json:"served"`
	Schema     json.RawMessage `json:"schema"`
}

// kind is a definition made ready. It is constant.
type kind struct {
	definition
	structural *structural.Structural
	validator  validation.SchemaValidator
	rules      *rules.Validator
}

// kinds are those that were needed so far, nil for one that there is not. They are kept for the process, because rules
// take a while to compile and never change. The lock guards the map.
var (
	lock  sync.Mutex
	kinds = map[string]*kind{}
)

// load gives a kind by its name, nil when the standard channel does not have it.
func load(name string) *kind {
	lock.Lock()
	defer lock.Unlock()
	k, ok := kinds[name]
	if ok {
		return k
	}
	data, err := files.ReadFile("crds/" + strings.ToLower(name) + ".json")
	if err != nil {
		return nil
	}
	k, err = compile(data)
	if err != nil {
		panic(fmt.Sprintf("admit: %s: %v", name, err)) // a mistake in the program, which its tests find
	}
	if k.Kind != name {
		return nil
	}
	kinds[name] = k
	return k
}

// compile makes a kind ready in the way the server does.
func compile(data []byte) (*kind, error) {
	k := &kind{}
	if err := json.Unmarshal(data, &k.definition); err != nil {
		return nil, fmt.Errorf("decoding the definition: %w", err)
	}
	var props apiextensionsv1.JSONSchemaProps
	if err := json.Unmarshal(k.Schema, &props); err != nil {
		return nil, fmt.Errorf("decoding the schema: %w", err)
	}
	k.Schema = nil
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&props, &internal, nil); err != nil {
		return nil, fmt.Errorf("converting the schema: %w", err)
	}
	s, err := structural.NewStructural(&internal)
	if err != nil {
		return nil, fmt.Errorf("making the schema structural: %w", err)
	}
	k.structural = s.DeepCopy()
	if err := defaulting.PruneDefaults(k.structural); err != nil {
		return nil, fmt.Errorf("pruning defaults: %w", err)
	}
	if k.validator, _, err = validation.NewSchemaValidator(&internal); err != nil {
		return nil, fmt.Errorf("making the validator: %w", err)
	}
	k.rules = rules.NewValidator(k.structural, true, cel.PerCallLimit)
	return k, nil
}

func (k *kind) serves(version string) bool { return slices.Contains(k.Served, version) }

// versions gives the served versions in words.
func (k *kind) versions() string {
	out := make([]string, len(k.Served))
	for i, v := range k.Served {
		out[i] = Group + "/" + v
	}
	return strings.Join(out, " and ")
}
