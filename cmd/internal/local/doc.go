// Package local wires the agent's half and the proxy's half together in one process, for `headgate up`: rendered objects
// go straight into the engine, the engine's xDS to one Envoy that runs as a child.
//
// A Stack stands for the cluster there is not. What a cluster would bring by itself, it brings: the GatewayClass, a
// default Gateway with the ports that routes want, namespaces, for every Service that a route names and that nothing runs for
// an endpoint of the built-in echo backend, and for every listener whose Secret is not in the tree a certificate of the local
// CA. An alias is a further route for what a route of the tree says, at NAME.localhost. None of this is ever written to an
// object of the tree or shown as one.
//
// Ports of Gateways are mapped to local ports (portMap), because those below 1024 are not ours to take, and every local address is
// claimed, because Envoys share addresses. There is one fleet, one Envoy that serves every Gateway.
package local
