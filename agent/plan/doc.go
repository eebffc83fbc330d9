// Package plan says what must be written and removed for a revision, and in which order, before anything is done.
//
//	plan = desired × inventory × what live objects say about themselves
//
// Desired is what the revision renders to. The inventory is the set of objects a Sync owns or may own; it is written before
// the first object (old and new together) and after the last removal, so that a crash between any two writes orphans nothing. It is kept
// in shards. A mark is what an object itself says: which Sync owns it, which digest was applied to it last, and whether it may be removed.
//
// A key is the digest of all that decides what an apply writes: the object and the rules that leave fields of it to others.
// An object whose mark has the key that is wanted is unchanged and costs no call. The mark is written with the object in one request,
// so it cannot say more than what was done.
//
// Nothing is removed but what is positively known to be the Sync's own and not wanted: no render that is empty, no inventory that was
// read in part, no mark of another owner leads to a removal.
package plan
