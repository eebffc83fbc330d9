// Package preview says what must exist so that a pull request, or a branch, can be tried beside production: a pure function
//
//	production × change × rules → objects, hosts, refusals
//
// Production is what is served now. A change is what a pull request does: the difference between its merge base and its head, so that a
// branch that is behind takes nothing back. What the change makes of production is the outcome; nothing of it is ever deployed as it is.
//
// A service is what a route is called after: the name of its ServiceSpec. A service is touched when one of its routes, a Service it leads to, or a
// workload behind that is in the change. Each service that is touched gets a host of its own below the preview's domain (shop-pr-42.preview.example.com), where
// the outcome's routes answer: those of the service, and the others that its first host has in production, its neighbours. Such routes are objects of their own
// in the namespace of the route they are made from, since a ReferenceGrant names its namespaces exactly and production cannot grant anything to
// namespaces that are still to come. By header, the same routes are at production's hosts, each match with the preview's header beside it.
//
// Workloads that the change touches run in a namespace that is the preview's alone, with the Services, ConfigMaps, Secrets and accounts they need, and
// under a quota. What the change does not touch is answered by production. A change to routes alone needs no namespace.
//
// A refusal is a part of a change that has no place in a preview, with the rule that says so and the line. It is left out, and the rest is served; of a
// fork's, one refusal refuses everything. So no object of a plan is in a namespace other than the preview's, but for routes, whose names are the preview's.
package preview
