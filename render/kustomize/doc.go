// Package kustomize is the one place that knows kustomize, and the guard in front of it: a kustomization is written by
// whoever may open a pull request, and the library, left alone, fetches URLs and runs git for it.
//
// A kustomization is decoded strictly (Decode) and every field is looked up in one table: what is refused is refused by
// name, what names a path must name a file or directory inside the tree. A walk (Walk) collects everything a
// kustomization builds on. Only then kustomize itself runs (Build.Run), on a file system in memory in which every path
// was chosen by this package: no string of the author reaches a place where kustomize expects a path.
//
// A union is a kustomization that only lists what belongs to it; a push-down also changes each object by itself, which
// Transform does without kustomize for the kinds where that has the same effect; whatever else is whole and is built by
// kustomize in one piece. A unit is what is built in one piece.
package kustomize

import (
	"headgate.dev/schema"
)

// Kind is what a name in the tree leads to.
type Kind uint8

// Values of Kind. A Link is a symbolic link or anything else that is neither file nor directory, or lies below one.
const (
	Missing Kind = iota
	Regular
	Directory
	Link
)

// Files is the tree a kustomization is read from. Names are slash-separated, relative to the root of the tree and clean.
type Files interface {
	// Kind says what a name leads to; the error is an I/O error.
	Kind(name string) (Kind, error)
	// Read gives the content of a regular file.
	Read(name string) ([]byte, error)
	// Documents gives the decoded documents of a regular file; the error is schema.Errors when they are wrong.
	Documents(name string) ([]schema.Document, error)
}

// Names are the file names that make a directory a kustomization. Two of them in one directory are an error.
var Names = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// Limits of one unit, far above what people write. They bound what the few lines of a kustomization may multiply.
const (
	maxDocuments = 20_000    // objects, counted once for every way that leads to them
	maxBytes     = 64 << 20  // bytes of files and of output
	maxWork      = 256 << 20 // bytes of kustomizations and patches times the objects they act on
	maxVisits    = 10_000    // kustomizations, counted once for every way that leads to them
	maxSplices   = 16        // replacements into a part of a field, each of which may double it
)

// Mode says how a kustomization is rendered.
type Mode uint8

// Values of Mode, see the package comment.
const (
	Union Mode = iota
	PushDown
	Whole
)
