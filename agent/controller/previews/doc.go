// Package previews makes the previews of a cluster: each object of kind Preview becomes routes, and workloads where it needs some.
//
// Each preview has an actor: a goroutine that owns the preview's driver (agent.PreviewDriver) and does everything for it, one thing after the other.
// Everybody else leaves it a note: that the Preview changed, that its Sync did, that production moved, that a host has become free. What takes
// processor time or the API server's has a turn behind other previews first, of which two work at a time, and then at the gate of the Syncs.
//
// Which Previews there are is not decided here. What is decided here is written into their statuses, and told to agent.World.Previewed. A finalizer
// keeps a Preview until all that it is made of is removed; an annotation beside it names the service account to do that as, for when the Sync is gone.
package previews
