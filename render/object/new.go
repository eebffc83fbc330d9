package object

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// New makes the Object of content, which must hold JSON values only (int and the other Go numbers are not among them)
// and belongs to the object from now on. Fields may be nil.
//
// The error says which of apiVersion, kind and metadata.name is missing or no string.
func New(content map[string]any, origin Origin, fields map[string]Origin) (*Object, error) {
	apiVersion, kind := text(content, "apiVersion"), text(content, "kind")
	if apiVersion == "" {
		return nil, errors.New("apiVersion is missing")
	}
	if kind == "" {
		return nil, errors.New("kind is missing")
	}
	metadata, ok := content["metadata"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s has no metadata", kind)
	}
	name := text(metadata, "name")
	if name == "" {
		return nil, fmt.Errorf("%s has no metadata.name", kind)
	}
	if v, has := metadata["namespace"]; has {
		if _, ok := v.(string); !ok {
			return nil, fmt.Errorf("%s %s: metadata.namespace is no string", kind, name)
		}
	}
	group, version := SplitAPIVersion(apiVersion)
	return &Object{
		ID:      ID{Group: group, Kind: kind, Namespace: text(metadata, "namespace"), Name: name},
		Version: version,
		Content: content,
		Origin:  origin,
		Fields:  fields,
		Digest:  digest(content),
	}, nil
}

// text gives m[key] where that is a string.
func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

// OriginOf gives the place the value at an RFC 6901 pointer was written at: the origin of the longest known pointer
// that leads to it, else the object's own.
func (o *Object) OriginOf(pointer string) Origin {
	for pointer != "" {
		if origin, ok := o.Fields[pointer]; ok {
			return origin
		}
		cut := strings.LastIndexByte(pointer, '/')
		if cut < 0 {
			break
		}
		pointer = pointer[:cut]
	}
	return o.Origin
}

// String gives the digest in hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// digest gives the digest of a value's canonical JSON.
func digest(v any) Digest {
	sum := sha256.Sum256(AppendJSON(make([]byte, 0, 2048), v))
	return Digest(sum[:16])
}
