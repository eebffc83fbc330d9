// Package fields reads metadata.managedFields, where an API server writes down who set which field of an object: which fields are a
// manager's, which of them others took or changed, when, and from what to what.
//
// A manager is whoever writes objects, by the name it gives itself; it has an entry for each way it writes (server-side apply or update, and
// the subresource). An entry owns paths. An update of a field takes it out of the entries of all others; two who apply the same value both
// own it.
//
// An atomic field (spec.rules of an HTTPRoute, a Service's selector) is owned as a whole, whatever is in it; so are the differences inside it. Of
// any other map or list everybody owns their own keys and items, and what others put beside ours is theirs.
//
// Paths are written as people write them: spec.rules[0].timeouts.request, containers[name=http].env[name=B].value,
// finalizers[=example.com/a], metadata.annotations["example.com/a"].
//
// See https://kubernetes.io/docs/reference/using-api/server-side-apply/ and sigs.k8s.io/structured-merge-diff, which reads the sets of paths.
package fields
