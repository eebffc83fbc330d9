// Package envoy translates the model into Envoy's configuration: what one value of the model is on the wire.
//
// The layout is scoped routes: every exact hostname of a table is a scope of its own ("TABLE/HOST") with its own small
// RouteConfiguration, so that a change costs Envoy the same whatever the number of hosts. The wildcard hostnames of a
// table share the scope "TABLE/*". A request finds its scope by the header x-hg-scope, which the connection manager
// overwrites with the table and the request's authority before anything else looks at it; what is compared byte for
// byte there (upper case, a trailing dot) a Lua filter mends after a miss, and only then.
//
// A listener that speaks TLS has one filter chain per server name, each with a table of its own where it carries HTTP:
// "NAMESPACE/GATEWAY/PORT/SERVERNAME", so that nobody reaches the hosts of another listener over it, and a client that tries
// is told 421. Certificates come over SDS and change without a listener or cluster being touched; a Resource says which
// secrets it needs. TCP, UDP and TLS that is passed on are forwarded by weight; what has no backend is closed or dropped.
//
// Words: a Resource is one encoded xDS message with its name and version; a Part is the virtual host of one wildcard
// hostname; a Problem is a route that Envoy would reject, which answers 500 and leaves everybody else alone.
//
// The package is pure: the same model and the same Options give the same bytes.
package envoy
