// Package controller is the loop of the cluster: what informers see goes into the engine, and what the engine makes of it
// goes to the proxies, into the status of objects, and into the objects that run the proxies.
//
// A feed watches one kind and puts every change into the inbox. The loop takes what the inbox has, in one batch, and makes one
// step of the engine with it: a burst of changes costs one step. Nothing is published before every feed has brought
// all it has, so that a restart is no change for the proxies. Every replica runs the loop and serves proxies; only the
// leader writes to the cluster.
//
// A Secret or ConfigMap is read only when a Gateway, ListenerSet or BackendTLSPolicy names it: the feed watches their
// metadata, and the contents of those that are named are fetched.
//
// The book has what the last steps said about each object. From it, and from the object as the cache has it, the writer works
// out a status and the fleets work out the objects that run a Gateway's proxies; either writes only what differs. Both
// work through queues of names, so that what changes ten times while a write takes place is written once more.
//
// Who a proxy is, is for package pki to say. Its Authority lies in a Secret of the controller's own namespace, which the
// leader makes and renews, and every replica reads.
package controller
