package object

import (
	"cmp"
	"strings"
)

// Compare orders IDs by group, kind, namespace and name; it is the order of every listing.
func Compare(a, b ID) int {
	return cmp.Or(
		strings.Compare(a.Group, b.Group),
		strings.Compare(a.Kind, b.Kind),
		strings.Compare(a.Namespace, b.Namespace),
		strings.Compare(a.Name, b.Name))
}

// String gives what people call the object: "HTTPRoute team-a/shop", "GatewayClass headgate". The group is left out.
func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + " " + id.Name
	}
	return id.Kind + " " + id.Namespace + "/" + id.Name
}

// Compare orders objects as their IDs.
func (o *Object) Compare(p *Object) int { return Compare(o.ID, p.ID) }

// APIVersion gives "group/version", or the version alone in the core group.
func (o *Object) APIVersion() string {
	if o.ID.Group == "" {
		return o.Version
	}
	return o.ID.Group + "/" + o.Version
}

// SplitAPIVersion takes "group/version" apart; the core group is "".
func SplitAPIVersion(apiVersion string) (group, version string) {
	if group, version, ok := strings.Cut(apiVersion, "/"); ok {
		return group, version
	}
	return "", apiVersion
}

// compareOrigins orders places by file, line and column.
func compareOrigins(a, b Origin) int {
	return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}
