// Package apply carries out plans: it makes a cluster hold the objects of a Sync, by server-side apply, and removes what is no longer wanted.
//
// An Applier belongs to one Sync. Everything it reads or writes of the Sync's objects it does as the Sync's service account (impersonation),
// so that a Sync can do nothing that its account may not. The inventory alone is headgate's own: it holds names, needs no right that
// the account lacks, and cannot widen what the account may do, because an object is only removed when its own mark names the Sync and the account may
// remove it.
//
// The account needs get, create, patch and delete for what its Sync brings; list makes one call of many, and list and watch are what waiting takes, for
// health and for what is being deleted.
//
// What was read is kept between applies: an apply of what did not change makes no call, and the change of one object is one dry run and
// one patch. What happened in between is noticed where it matters: a removal names the uid and resource version that were read, and
// whoever watches the cluster says which objects are to be written again (Request.Again).
//
// A stage is tried as a whole (dry run) before its first write, and written in waves: the objects of one kind at the same time, kinds one
// after the other, so that a Service is there before the route that names it. The inventory is written before the first object. Whatever ends
// an apply, the next one comes to the same end.
package apply
