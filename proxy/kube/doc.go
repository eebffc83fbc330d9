// Package kube keeps the cluster objects that routing depends on, with the questions that routing asks about them
// answered in time proportional to the answer.
//
// A Change is one object as it is now, or its end. A Snapshot is all objects; Apply brings changes into it and
// says what they Touched. A Ref names an object of any kind. A link leads from an object to something it names (a
// route to its Gateway, an EndpointSlice to its Service); the Snapshot answers the way back, kept with every change.
//
// A further kind needs a Kind, a typed table in Snapshot, and a file of its own with two functions: what of it counts as
// changed, and its links.
//
// Of a Secret and a ConfigMap a Snapshot keeps only what certificates are made of: whatever else is in them is in nobody's memory
// because of it, and no change. Which of them a Snapshot gets is the caller's choice; those that nothing refers to do nothing.
//
// Objects are immutable once they are in a Snapshot: nobody writes to them, the caller of Apply included.
package kube
