// Package backend applies the rules of what stands behind routes: what a port of a Service speaks, with TLS where a
// BackendTLSPolicy says so, and where its endpoints are. Every function is pure.
//
// A policy is a BackendTLSPolicy (GEP-1897). Of the policies that name one Service and one section (a port by its name, or all)
// the oldest wins, then the first by name; the others are conflicted. One that names the port goes before one for all ports.
// Policies are for HTTP, for gRPC and for what a TLS listener has decrypted; what TCP and UDP routes and passthrough carry
// goes to the backend as it is.
//
// It fails closed: a port whose policy cannot be honoured has no endpoints, so that requests are answered 503, connections
// are closed, and nothing is ever sent in the clear or to somebody unknown.
package backend
