// Package admit says what an API server with the standard channel of Gateway API would say to an object: which defaults
// it would fill in, and what it would refuse. It uses the server's own libraries in the server's order.
//
// A kind is a kind of Gateway API with its schema, whose rules are those in CEL (x-kubernetes-validations). Structural
// is what the schema says without them: types, required fields, limits, patterns, keys of lists that must differ. To
// admit is to find nothing wrong.
//
// What needs the cluster is not checked: quotas, webhooks, references, and rules about the object's former self.
package admit

import (
	"fmt"
	"time"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metadata "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/cel"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Group is the API group whose kinds are known here.
const Group = "gateway.networking.k8s.io"

// Admit gives the object as an API server would store it: with the defaults of its kind, and without a status, which
// nobody but a controller writes. The errors are what the server would refuse it for, with strict validation of fields,
// each at the origin of its field and sorted; there is no content then. An object of a kind that the standard channel
// does not have is given back as it is.
//
// The first object of a kind costs the compilation of the kind's rules, once in a process.
func Admit(o *object.Object) (map[string]any, schema.Errors) {
	if o.ID.Group != Group {
		return o.Content, nil
	}
	k := load(o.ID.Kind)
	if k == nil {
		return o.Content, nil
	}
	r := &report{object: o, kind: k}
	if !k.serves(o.Version) {
		r.add("/apiVersion", fmt.Sprintf("%s is not served; the standard channel of Gateway API has %s", o.APIVersion(), k.versions()))
		return nil, r.errs
	}
	content := object.CloneMap(o.Content)
	k.checkMetadata(content, r)
	k.prune(content, r)
	defaulting.Default(content, k.structural)
	if k.Status {
		delete(content, "status")
	}
	k.validate(content, r)
	if len(r.errs) > 0 {
		return nil, r.errs.Sort()
	}
	return content, nil
}

// Prepare compiles the rules of kinds, for callers with something else to do meanwhile.
func Prepare(kinds ...string) {
	for _, k := range kinds {
		load(k)
	}
}

// checkMetadata checks names, labels, annotations and the fields of the metadata, and leaves of it what a server keeps: no
// empty lists and maps. A namespaced object may lack its namespace: whoever writes it to a cluster says which.
func (k *kind) checkMetadata(content map[string]any, r *report) {
	meta, _, unknown, err := objectmeta.GetObjectMetaWithOptions(content, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		r.add("/metadata", err.Error())
		return
	}
	r.unknown(unknown)
	needsNamespace := k.Namespaced && meta.Namespace != ""
	r.fields(metadata.ValidateObjectMeta(meta, needsNamespace, metadata.NameIsDNSSubdomain, field.NewPath("metadata")))
	if err := objectmeta.SetObjectMeta(content, meta); err != nil {
		r.add("/metadata", err.Error())
	}
}

// prune takes out what the kind has no field for, and nulls where none may be.
func (k *kind) prune(content map[string]any, r *report) {
	options := structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	r.unknown(pruning.PruneWithOptions(content, k.structural, true, options))
	defaulting.PruneNonNullableNullsWithoutDefaults(content, k.structural)
}

// validate checks the structure, and the rules where the structure is right enough to ask them.
func (k *kind) validate(content map[string]any, r *report) {
	errs := validation.ValidateCustomResource(nil, content, k.validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.structural, content)...)
	if !blocks(errs) {
		broken, _ := k.rules.Validate(never{}, nil, k.structural, content, nil, cel.RuntimeCELCostBudget)
		errs = append(errs, broken...)
	}
	r.fields(errs)
}

// blocks tells whether the rules would be asked about something they were not made for, as the server decides it.
func blocks(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}

// never is the context of a decision: it is never cancelled and carries nothing. The library asks for one.
type never struct{}

func (never) Deadline() (time.Time, bool) { return time.Time{}, false }
func (never) Done() <-chan struct{}       { return nil }
func (never) Err() error                  { return nil }
func (never) Value(any) any               { return nil }
