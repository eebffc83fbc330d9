// Package resolve applies the rules of the Gateway API: which listeners a Gateway really has, which routes attach
// to them, which rule answers first, which backends a rule may use, and what the status says about all that. Every
// function is pure: a snapshot of objects and names in, a value out.
//
// An API listener is one entry of spec.listeners of a Gateway; a socket is one port with all API listeners that share it.
// An Attachment is one hostname of one table (see package model) that a route answers through one API listener. The
// owner of a hostname is the API listener that requests for it belong to: the one with the most specific hostname that
// matches (GEP-3155, listener isolation); a route that reaches a hostname only through another listener does not
// answer there. A template is a model.Route that is not yet tied to a host: all hosts of a route share its templates.
//
// A rule that cannot be honoured to the letter (a filter we do not have, a regular expression that does not compile) is
// dropped: the requests it would have matched are answered 500, the other rules of the route go on, and the
// condition PartiallyInvalid says which rule and why (Gateway API, RouteConditionPartiallyInvalid; for filters: "MUST
// NOT be skipped. Instead, requests ... MUST receive a HTTP error response").
//
// A request is answered by the routes of exactly one host: one with an exact hostname does not fall through to the routes of
// a wildcard, as with the other gateways that are built on Envoy.
package resolve
