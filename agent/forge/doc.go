// Package forge speaks with Git hosts about everything but Git: pull requests, commit statuses, comments and webhooks.
//
// Words:
//
//   - A host is a server of one [Kind]: GitHub, Gitea (and Forgejo), or GitLab. What one of them calls otherwise has GitHub's name here: a
//     merge request is a pull request, a note a comment, a project a repository.
//   - A repository is its path on the host, as in "team-a/shop"; [Client.Repository] takes it out of a clone URL.
//   - A pull request has a head (what it brings) and a base (where it wants to go); the merge base is the commit both histories
//     have in common. It is from a fork when its head is in another repository.
//   - A status is what is said about one commit under one context, as in "headgate/shop".
//   - A hook is one HTTP request by which a host says that something happened, a delivery one sending of it, a path the secret last part of
//     the URL it is sent to.
//   - A hint is what is left of any number of hooks of one repository: something happened there. Hooks are lost, repeated, forged within what
//     their sender may do, and come in any order, so nothing in a hint is knowledge: the repository and the host's API are asked again.
//
// A [Client] asks and writes, a [Receiver] takes hooks and gives hints. Neither decides what any of it means.
//
// Text that comes from a host (titles, labels, names, comments) is whatever strangers typed. It is passed on as it is, and is to be escaped where
// it is shown. In errors it is quoted and short; credentials are never in them.
package forge
