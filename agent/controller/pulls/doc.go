// Package pulls gives the pull requests of one Sync their previews: it asks the Git host, has agent/preview/life decide, and carries the decision out.
//
// A [Follower] is the goroutine of one Sync. What webhooks say are hints: each has the host's API asked for the pull request that it names, within the
// same second, and again until the commit that it names is there. A poll, once a minute at most, is the net below. An answer of the host is taken as a
// whole or not at all; without one, what there is stays.
//
// An approval is something that happened: it comes by a webhook and in no other way. What the webhook says is not believed but for the label, whose time
// no host tells: comment, author, head and rights are asked for.
package pulls
