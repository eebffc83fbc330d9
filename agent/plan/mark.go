package plan

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"headgate.dev/render/object"
)

// What an object says about itself. The labels are for selectors: everything a Sync owns is one watch per kind.
const (
	// LabelSync and LabelSyncNamespace name the Sync that owns the object.
	LabelSync          = "headgate.dev/sync"
	LabelSyncNamespace = "headgate.dev/sync-namespace"
	// AnnotationApplied is the key that was applied last, in hexadecimal digits.
	AnnotationApplied = "headgate.dev/applied"
	// AnnotationPrune with the value PruneDisabled keeps an object from being removed.
	AnnotationPrune = "headgate.dev/prune"
	PruneDisabled   = "disabled"
)

// Owner is a Sync. The zero Owner is nobody.
type Owner struct{ Namespace, Name string }

// PreviewOwner is in front of the names of owners that are Previews; a Sync's name does not begin with it.
const PreviewOwner = "preview."

// String gives "Sync team-a/shop", or "Preview team-a/shop-pr-42".
func (o Owner) String() string {
	if name, ok := strings.CutPrefix(o.Name, PreviewOwner); ok {
		return "Preview " + o.Namespace + "/" + name
	}
	return "Sync " + o.Namespace + "/" + o.Name
}

// Mark is what a live object says about itself.
type Mark struct {
	// Owner is the Sync that the object belongs to; zero when none made or adopted it.
	Owner Owner
	// Applied is the key that was applied last. Zero: not known. Whoever wants an object written whatever Git says
	// (because it drifted) takes the key out of its mark.
	Applied object.Digest
	// Protected objects are not removed.
	Protected bool
}

// ReadMark reads what an object says about itself from its labels and annotations. What is not readable is not said.
func ReadMark(labels, annotations map[string]string) Mark {
	m := Mark{
		Owner:     Owner{Namespace: labels[LabelSyncNamespace], Name: labels[LabelSync]},
		Protected: annotations[AnnotationPrune] == PruneDisabled,
	}
	if m.Owner.Name == "" || m.Owner.Namespace == "" {
		m.Owner = Owner{}
	}
	if key, err := hex.DecodeString(annotations[AnnotationApplied]); err == nil && len(key) == len(m.Applied) {
		m.Applied = object.Digest(key)
	}
	return m
}

// Stamp gives the content to apply: that of the object with the owner's labels and the key in it. The content of the object stays as
// it is; what is not metadata is shared with it. Labels and annotations of these names that the object brings are replaced, so that a
// repository cannot speak for another Sync.
//
// The stringData of a Secret becomes data. An API server would store it as data too, but call the Sync the owner of stringData alone: nobody would
// see that a value was changed, and a key that Git lacks would stay.
func Stamp(content map[string]any, owner Owner, key object.Digest) map[string]any {
	out := shallow(content)
	metadata := child(out, "metadata")
	labels, annotations := child(metadata, "labels"), child(metadata, "annotations")
	labels[LabelSync], labels[LabelSyncNamespace] = owner.Name, owner.Namespace
	annotations[AnnotationApplied] = key.String()
	if out["kind"] == "Secret" && out["apiVersion"] == "v1" {
		storeStrings(out)
	}
	return out
}

// storeStrings turns the stringData of a Secret into data, as far as it is of the form that it must have.
func storeStrings(secret map[string]any) {
	texts, ok := secret["stringData"].(map[string]any)
	if !ok {
		return
	}
	data := map[string]any{}
	for key, value := range texts {
		text, ok := value.(string)
		if !ok {
			return
		}
		data[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	delete(secret, "stringData")
	merged := child(secret, "data")
	for key, value := range data {
		merged[key] = value
	}
}

// child puts a copy of a map in the place of m[key], an empty one where there is none, and gives it.
func child(m map[string]any, key string) map[string]any {
	inner, _ := m[key].(map[string]any)
	inner = shallow(inner)
	m[key] = inner
	return inner
}

func shallow(m map[string]any) map[string]any {
	out := make(map[string]any, len(m)+1)
	for key, value := range m {
		out[key] = value
	}
	return out
}
