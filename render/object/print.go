package object

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// mask stands where the value of a Secret would. It has one length, whatever it hides.
const mask = "*****"

// PrintOptions says how objects are printed; the zero value hides the values of Secrets.
type PrintOptions struct {
	// Secrets prints the values of Secrets, for output that goes straight into a cluster.
	Secrets bool
}

// WriteYAML writes a YAML stream, each document opened by "---": apiVersion, kind and metadata first, name and namespace first in
// metadata, every other key in the order of the alphabet.
func WriteYAML(w io.Writer, objects iter.Seq[*Object], options PrintOptions) error {
	for o := range objects {
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return fmt.Errorf("writing %s: %w", o.ID, err)
		}
		encoder := yaml.NewEncoder(w)
		encoder.SetIndent(2)
		encoder.CompactSeqIndent()
		if err := encoder.Encode(node(o.printed(options), rootKeys)); err != nil {
			return fmt.Errorf("writing %s: %w", o.ID, err)
		}
		if err := encoder.Close(); err != nil {
			return fmt.Errorf("writing %s: %w", o.ID, err)
		}
	}
	return nil
}

// WriteJSON writes a stream of canonical JSON, one object a line.
func WriteJSON(w io.Writer, objects iter.Seq[*Object], options PrintOptions) error {
	for o := range objects {
		if _, err := w.Write(append(AppendJSON(nil, o.printed(options)), '\n')); err != nil {
			return fmt.Errorf("writing %s: %w", o.ID, err)
		}
	}
	return nil
}

func (o *Object) printed(options PrintOptions) map[string]any {
	if options.Secrets {
		return o.Content
	}
	return o.Masked()
}

// Masked gives the content with every value of a Secret hidden (data, stringData and the copy of both that kubectl
// keeps in an annotation). The content of any other kind is given as it is, not copied.
func (o *Object) Masked() map[string]any {
	if o.ID.Group != "" || o.ID.Kind != "Secret" {
		return o.Content
	}
	out := CloneMap(o.Content)
	for _, key := range []string{"data", "stringData"} {
		values, isMap := out[key].(map[string]any)
		if _, has := out[key]; has && !isMap {
			out[key] = mask // a malformed Secret still holds a secret
		}
		for name := range values {
			values[name] = mask
		}
	}
	if metadata, ok := out["metadata"].(map[string]any); ok {
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			if _, has := annotations[lastApplied]; has {
				annotations[lastApplied] = mask
			}
		}
	}
	return out
}

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

var (
	rootKeys     = []string{"apiVersion", "kind", "metadata"}
	metadataKeys = []string{"name", "namespace"}
)

// node turns a JSON value into a YAML node whose keys stand in a fixed order, those of first in front.
func node(v any, first []string) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		return mapNode(v, first)
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, item := range v {
			n.Content = append(n.Content, node(item, nil))
		}
		return n
	case int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v, 10)}
	case float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: string(appendFloat(nil, v))}
	default:
		n := &yaml.Node{}
		if err := n.Encode(v); err != nil {
			panic("object: " + err.Error()) // strings, booleans and nil always encode
		}
		return n
	}
}

func mapNode(m map[string]any, first []string) *yaml.Node {
	keys := make([]string, 0, len(m))
	for _, key := range first {
		if _, ok := m[key]; ok {
			keys = append(keys, key)
		}
	}
	leading := len(keys)
	for key := range m {
		if !slices.Contains(keys[:leading], key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys[leading:])
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if len(m) == 0 {
		n.Style = yaml.FlowStyle
	}
	for _, key := range keys {
		var inner []string
		if key == "metadata" && len(first) > 0 {
			inner = metadataKeys
		}
		n.Content = append(n.Content, node(key, nil), node(m[key], inner))
	}
	return n
}
