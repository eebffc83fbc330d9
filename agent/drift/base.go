package drift

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strconv"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"headgate.dev/agent/fields"
	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// base is what an apply returned, in a form that is small: there is one for each object that is owned.
type base struct {
	json []byte
	live version
}

// version says which state of which object something is.
type version struct {
	uid string
	// number is the resource version, which is comparable for the same resource. Zero where it cannot be read: then nothing is known to be older.
	number     uint64
	apiVersion string
	// key is what the object says was applied to it.
	key string
}

func versionOf(content map[string]any) version {
	metadata, _ := content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	v := version{uid: text(metadata, "uid"), apiVersion: text(content, "apiVersion"), key: text(annotations, plan.AnnotationApplied)}
	v.number, _ = strconv.ParseUint(text(metadata, "resourceVersion"), 10, 64)
	return v
}

// olderThan tells whether a state of an object is known to be an earlier one than another. Resource versions are those of the whole kind, so that it
// does not matter whether the object was made again in between.
func (v version) olderThan(w version) bool {
	return v.number != 0 && w.number != 0 && v.number < w.number
}

func newBase(content map[string]any) *base {
	kept := maps.Clone(content)
	delete(kept, "status")
	return &base{json: object.AppendJSON(nil, kept), live: versionOf(content)}
}

func (b *base) content() (map[string]any, error) {
	var out map[string]any
	if err := utiljson.Unmarshal(b.json, &out); err != nil {
		return nil, fmt.Errorf("reading what was applied: %w", err)
	}
	return out, nil
}

// inFlight tells whether a live object was written in the Sync's name by an apply of something else than what has the key.
func inFlight(key string, live map[string]any, manager string) bool {
	if versionOf(live).key == key {
		return false
	}
	managed, err := fields.Read(live)
	return err == nil && managed.Applied(manager, "metadata", "annotations", plan.AnnotationApplied)
}

// holds tells whether a live object says all that is wanted, as it is written, with nothing added to a list. Then it is what an apply would
// return. When it does not, that is not yet drift: defaults in lists, quantities and webhooks have their own way.
func holds(wanted, live any) bool {
	switch w := wanted.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for key, value := range w {
			if !holds(value, l[key]) {
				return false
			}
		}
		return true
	case []any:
		l, ok := live.([]any)
		if !ok || len(l) != len(w) {
			return false
		}
		for i := range w {
			if !holds(w[i], l[i]) {
				return false
			}
		}
		return true
	}
	return string(object.AppendJSON(nil, wanted)) == string(object.AppendJSON(nil, live))
}

// Hide gives the object with everything that is secret replaced by a keyed hash, so that two of them can be compared and nothing can be read.
// Only a Secret is changed, in a copy. The key is random and never leaves the process.
func Hide(content map[string]any, key []byte) map[string]any {
	if content["kind"] != "Secret" || content["apiVersion"] != "v1" {
		return content
	}
	out := object.CloneMap(content)
	for _, name := range []string{"data", "stringData"} {
		if values, has := out[name]; has {
			out[name] = hidden(values, key)
		}
	}
	metadata, _ := out["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	for name, value := range annotations {
		if name != plan.AnnotationApplied {
			annotations[name] = hash(value, key)
		}
	}
	return out
}

func hidden(v any, key []byte) any {
	values, ok := v.(map[string]any)
	if !ok {
		return hash(v, key)
	}
	for name, value := range values {
		values[name] = hash(value, key)
	}
	return values
}

func hash(v any, key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(object.AppendJSON(nil, v))
	return hex.EncodeToString(mac.Sum(nil))
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}
