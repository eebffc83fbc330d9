// Package object is the currency between rendering and whatever takes the rendered objects: a Kubernetes object as
// plain data, with its identity, its digest and the place in the tree it was made from.
//
// ID says which object it is (the version is no part of it); Origin says where it was written; a digest says what it
// holds; a Set is everything one revision renders to.
package object

import (
	"headgate.dev/schema"
)

// ID names an object for its whole life: group, kind, namespace, name; never the version, which may change under it.
// Namespace is empty for cluster-scoped kinds. IDs are comparable and order by their four parts (Compare).
type ID struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Origin is the place in the tree an object, or one field of it, was written at.
type Origin = schema.Position

// Object is one rendered Kubernetes object. It is immutable once made (New): many revisions share it.
type Object struct {
	ID ID
	// Version is the API version within the group ("v1").
	Version string
	// Content is the whole object as JSON values: map[string]any, []any, string, bool, int64, float64, nil.
	// Read it, never write to it.
	Content map[string]any
	// Origin is where the object begins.
	Origin Origin
	// Fields gives the origin of parts of the object by RFC 6901 JSON pointer ("/spec/rules/1"); the longest
	// pointer that is a prefix of the field asked for wins (OriginOf). May be nil.
	Fields map[string]Origin
	// Digest is a digest of Content alone: equal digests mean nothing to apply. Origins are no part of it.
	Digest Digest
}

// Digest is the first 16 bytes of the SHA-256 of the canonical JSON (sorted keys, no spaces).
type Digest [16]byte
