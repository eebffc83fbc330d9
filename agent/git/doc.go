// Package git resolves a reference of a Git repository to a commit and shows the commit's files as an [fs.FS].
//
// Words:
//
//   - A source is where commits come from: a directory inside a local repository, or the URL of a remote one, with the
//     reference that is wanted.
//   - A local repository is read in place: nothing is copied or written, its work tree is not looked at, and its
//     references are watched.
//   - A remote repository is polled. One reference, with depth 1, is fetched into a store: a bare repository of our own
//     under a cache directory.
//   - A revision is Flux's string for a commit and how it was found: "main@sha1:4f2a9c1…", "sha1:4f2a9c1…".
//   - A tree is the files of one commit, read lazily and straight from Git's objects. Nothing is ever checked out, so what
//     a checkout would be vulnerable to (links, odd names, hooks, filters) does not arise.
//   - A digest is Git's own id of a tree or blob: the same digest means the same bytes.
//   - A work tree is the saved files of a directory, in the same form as a commit.
//
// Local repositories, remotes and work trees answer to the same two methods, Resolve and Watch.
//
// It is the only package that imports go-git and fluxcd's git packages, and shows neither. go-git speaks the protocol and
// stores and reads objects; answers are bounded in bytes, and redirects to another host refused, in what it is given to
// speak over. It knows versions 0 and 1 of the protocol, in which a server lists all its references each time it is
// asked. No git program is run, and nothing that go-git keeps for the whole process is changed.
package git
