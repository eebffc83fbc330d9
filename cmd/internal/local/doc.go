// Package local wires the agent's half and the proxy's half together in one process, for `headgate up`: rendered objects
// go straight into the engine, the engine's xDS to one Envoy that runs as a child.
//
// A Stack stands for the cluster there is not. What a cluster would bring by itself, it brings: the GatewayClass, a
// default Gateway, namespaces, and for every Service that a route names and that nothing runs for, an endpoint of the
// built-in echo backend. Ports of Gateways are mapped to local ports (Ports), because those below 1024 are not ours to
// take. There is one fleet, one Envoy that serves every Gateway.
package local
