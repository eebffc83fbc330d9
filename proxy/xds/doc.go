// Package xds serves Envoy proxies their configuration: the aggregated discovery service in its delta form.
//
// A fleet is a set of proxies with the same configuration. Publish changes the configuration of a fleet; each proxy has
// one stream, on which it gets what changed, in the order that lets traffic go on (make before break), and answers every
// response with an ACK or a NACK. Status and Wait say how far an epoch has come.
//
// The parts: state is what a fleet should have; a session decides what one proxy is to be told, as a pure state machine
// over its subscriptions, what it has and what it has been sent; a stream drives one session with one goroutine; package
// live counts the answers. Publish never waits for a proxy: it marks changed names in the queue of each stream, and a
// stream that gets round to its queue sends the newest state of each.
//
// On the wire, for changes: one burst without waiting for answers, one resource per response, so that a refused one
// hurts no other: CDS, EDS, SDS, LDS, SRDS, RDS, and within a type what is new before what changed. Then removals, what
// names before what is named: SRDS, RDS (LDS removals go before LDS changes: the address is free then). Clusters are
// removed last and lazily. Endpoints and secrets are never removed by us: Envoy drops them with what names them.
//
// The names of resources follow three rules: the endpoints of a cluster have the name of the cluster, a resource of type
// envoy.RouteType is named by a scope, and the secrets of a cluster or listener stand in its envoy.Resource.Secrets. Only
// then are they sent right behind what names them. A secret that changes alone is sent alone; the secrets of a new listener
// go behind it, since a proxy drops what nothing in it names.
package xds
