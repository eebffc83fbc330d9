// Package resolve applies the rules of routes: which listeners a route attaches to, which of its rules answers first, which
// backends it may use, and what the status says about all that. Every function is pure: a snapshot of objects and names in, a
// value out. Gateways are the part of package gateway, Services that of package backend.
//
// An Attachment is one hostname of one table (see package model) that a route answers through one API listener; an L4Attachment
// is one server name of one socket, or a whole TCP or UDP socket. A route that reaches a hostname only through a listener that
// does not own it does not answer there. A template is a model.Route that is not yet tied to a host: all hosts of a route share
// its templates. HTTPRoutes and GRPCRoutes answer side by side on one host.
//
// A rule that cannot be honoured to the letter (a filter we do not have, a regular expression that does not compile) is
// dropped: the requests it would have matched are answered 500, the other rules of the route go on, and the
// condition PartiallyInvalid says which rule and why (Gateway API, RouteConditionPartiallyInvalid; for filters: "MUST
// NOT be skipped. Instead, requests ... MUST receive a HTTP error response").
//
// A request is answered by the routes of exactly one host: one with an exact hostname does not fall through to the routes of
// a wildcard, as with the other gateways that are built on Envoy. The status of a route never depends on other routes: one that
// is outdone everywhere is accepted like the one that goes first.
package resolve
