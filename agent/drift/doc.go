// Package drift finds out which objects of a Sync are no longer what was applied, and says what to do about it.
//
// The base of an object is what the API server returned for the Sync's apply. Drift is a field that the Sync owns and that has another value than
// in the base, something added by others inside a list or map that is the Sync's as a whole, or an object that is gone. Everything else that
// others do to an object (their fields, finalizers, references, status) is theirs, and what means the same is the same.
//
// A record is one drifted field of one object, from the first time it was seen until it is resolved. An alert is what people are told: the records
// of one object and one group of fields (spec.rules, metadata.labels) that they are to know about. It is opened once, updated, and resolved.
//
// A State takes observations, each with the time at which it was made, and returns effects: objects to correct, objects to try with a dry run,
// alerts to send. It never looks at a clock, and a clock that jumps costs at most a late or an early alert.
package drift
