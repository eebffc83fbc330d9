// Package controller follows the Syncs of a cluster: the controller-runtime edge of package agent.
//
// Each Sync has an actor: a goroutine that owns the Sync's driver and does everything for it, one thing after the other. Everybody else leaves it a
// note: that the Sync changed, that a webhook told of a push, that a Secret it names is another one (agent.Trigger). Notes coalesce, so that
// a thousand of them are one look. Waiting for a repository, for the Envoys or for objects to be healthy keeps nobody but the Sync itself waiting. What
// takes processor time or the API server's has a turn at the gate, whose queue is in the metrics.
//
// Syncs of the same source share one store and one look at the server (agent.Repositories). An answer that is younger than half the interval
// will do for a look that the interval asks for.
//
// What is read and written for a Sync is read and written as its service account. As itself the agent reads Syncs and the metadata of what they name,
// and writes their statuses, finalizers and events, and their inventories.
//
// Only the replica that leads does any of that. For others to build on, an Agent has Enqueue (with agent.Trigger.Again, only some objects are
// applied again), Render for any commit of a Sync's repository, Options.Applied, which is told what each apply has written, and Statuses, through which
// whatever is said in a Sync's status is written.
package controller
