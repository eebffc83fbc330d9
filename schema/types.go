package schema

// Group is the API group of everything headgate defines.
const Group = "headgate.dev"

// APIVersion is what specs carry as apiVersion.
const APIVersion = Group + "/v1alpha1"

// The kinds of specs.
const (
	KindServiceSpec = "ServiceSpec"
	KindGatewaySpec = "GatewaySpec"
)

// Spec is a decoded spec: *ServiceSpec or *GatewaySpec.
type Spec interface {
	// Kind is KindServiceSpec or KindGatewaySpec.
	Kind() string
	// Meta is the spec's metadata; never nil.
	Meta() *Metadata
	// At gives the position of the value at an RFC 6901 pointer ("/spec/routes/1"), or of its nearest ancestor that was
	// written; the zero position for a spec that was not decoded from a document.
	At(pointer string) Position
	// Errorf makes an error at that place, its field written as users write it ("spec.routes[1]").
	Errorf(pointer, format string, args ...any) *Error
}

// Metadata names a spec, as in any Kubernetes object.
type Metadata struct {
	// Name names the spec and what is generated from it.
	//
	// Required.
	// Limits: a DNS label, at most 63 characters.
	// Example: shop
	// Becomes: metadata.name
	Name string `json:"name"`
	// Namespace is where the generated objects live.
	//
	// Default: the namespace of whoever renders: the Sync's own in a cluster, "default" in headgate up.
	// Limits: a DNS label, at most 63 characters.
	// Example: team-a
	// Becomes: metadata.namespace
	Namespace string `json:"namespace,omitempty"`
	// Labels are copied to every generated object.
	//
	// Example: {team: a}
	// Becomes: metadata.labels
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations are copied to every generated object.
	//
	// Example: {example.com/owner: ada}
	// Becomes: metadata.annotations
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Patch changes generated objects by a JSON patch (RFC 6902): the way to everything a spec has no field for.
type Patch struct {
	// Target says which generated objects are patched.
	//
	// Default: every object generated from the spec, if they are all of one kind.
	// Example: {kind: HTTPRoute}
	Target PatchTarget `json:"target,omitempty"`
	// Patch is the list of operations, applied in order. In a path a rule or listener may be named instead of counted
	// ("/spec/rules/api/timeouts").
	//
	// Required.
	// Example: [{op: replace, path: /spec/rules/api/name, value: v1}]
	Patch []PatchOperation `json:"patch"`
}

// PatchTarget selects among the objects generated from one spec.
type PatchTarget struct {
	// Kind selects by kind.
	//
	// Example: HTTPRoute
	Kind string `json:"kind,omitempty"`
	// Name selects by name.
	//
	// Example: shop-2
	Name string `json:"name,omitempty"`
}

// PatchOperation is one operation of RFC 6902.
type PatchOperation struct {
	// Op is the operation.
	//
	// Required.
	// Limits: add, remove, replace, move, copy or test.
	// Example: add
	Op PatchOp `json:"op"`
	// Path is the RFC 6901 pointer of the field to change. kind, apiVersion, name and namespace cannot be changed.
	//
	// Required.
	// Example: /spec/rules/api/timeouts/request
	Path string `json:"path"`
	// From is the pointer to move or copy from.
	//
	// Example: /spec/rules/0/backendRefs
	From string `json:"from,omitempty"`
	// Value is the value to add, to put in place or to test for.
	//
	// Example: 5s
	Value any `json:"value,omitempty"`
}

// PatchOp is the name of an RFC 6902 operation.
type PatchOp string

// Values of PatchOp.
const (
	PatchAdd     PatchOp = "add"
	PatchRemove  PatchOp = "remove"
	PatchReplace PatchOp = "replace"
	PatchMove    PatchOp = "move"
	PatchCopy    PatchOp = "copy"
	PatchTest    PatchOp = "test"
)

// Hostname is a DNS name in lower case, without port and without trailing dot.
type Hostname string

// Port is a TCP or UDP port, 1 to 65535; 0 in a decoded spec means "not given".
type Port int32

// Label is a DNS label (RFC 1123): lower-case letters, digits and "-", at most 63 characters.
type Label string

// HeaderName is a token of RFC 9110 section 5.6.2; upper and lower case are the same header.
type HeaderName string
