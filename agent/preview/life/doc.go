// Package life says which previews there are to be: a pure function
//
//	what the Git host says × rules × previews that there are × what was remembered × time → what to create, change and end
//
// A subject is what may have a preview: a pull request that is open, or a branch. Its head is the commit that would be previewed, its base the merge base.
//
// An absence is a subject whose head is not previewed, and why. Absences are remembered from one decision to the next, since some of them hold until the
// next push: that somebody ended the preview of this very commit, or that it grew too old.
//
// Only what is known ends a preview: that its subject is over, or is not of those any more that get one, or has another head that nobody approved; that it
// is too old. A subject of which nothing is said may be hidden by an error, a page that is missing or a token that was revoked; it stays as it is.
//
// A fork's head needs the approval of somebody with write access for that very commit. An approval is an event: it counts when it comes, for the head that
// there is then, and is remembered by what came of it: the preview of that commit, or its absence for another reason. A subject that was seen somewhere
// with a label or a comment has no approval by that.
package life
