// Package source reads YAML and says where everything in it stands: it is the one YAML decoder of the program and holds
// the one error type for wrong input.
//
// A document is one YAML document of a file. A node is one value of a document. A position is a file, a line and a
// column; every node has one, and so has every error. A pointer is an RFC 6901 pointer into a document ("/spec/routes/1"),
// a field the same as users write it ("spec.routes[1]").
package source
