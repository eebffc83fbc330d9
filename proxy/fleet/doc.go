// Package fleet says which objects of a cluster run the Envoys of a Gateway.
//
// A fleet is the Envoys of one Gateway with everything around them: a Deployment, the ServiceAccount its pods have, the
// Service in front of them, and what keeps enough of them running. All of it lives in the Gateway's namespace, belongs to
// the Gateway (owner reference) and goes with it. A config is a ProxyConfig: what users say about a fleet. A socket is a
// port of a Gateway with TCP or UDP. A static address is one that a Gateway asks for by name.
//
// The ABI is what a controller and a proxy of another release must agree about: the flags and files of `headgate proxy`,
// the pod around it, and the Envoy in its image. A fleet keeps the image it was made with as long as its ABI is the
// controller's, so that an upgrade of the controller restarts no proxy.
//
// Objects are for server-side apply with force: they have exactly the fields that headgate owns, and leave the rest to the
// API server's defaults and to other managers.
package fleet
