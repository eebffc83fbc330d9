package git

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"time"

	fluxgit "github.com/fluxcd/pkg/git"

	"headgate.dev/agent/git/internal/person"
)

// Tree is a directory tree as of one revision. Names follow [fs.ValidPath] from the root of the repository.
//
// Symbolic links have [fs.ModeSymlink] and opening one, or a path through one, is a [LinkError]. A submodule has
// [fs.ModeIrregular] and cannot be opened. Open and ReadFile of what is beyond a limit is a [TooBigError].
// It may be used from several goroutines at once, until the Repository or Worktree it came from is closed.
type Tree interface {
	fs.StatFS
	fs.ReadDirFS
	fs.ReadFileFS
	// Digest is Git's id of a file's content or a directory's whole content, 40 hexadecimal digits. It costs no reading
	// of the file, and for a directory no reading of what is in it.
	Digest(name string) (string, error)
}

// Commit is one commit and its files. It does not change.
type Commit struct {
	// Revision is Flux's form: "main@sha1:4f2a9c1…"; "sha1:4f2a9c1…" for a commit that was asked for by its id or is a
	// detached HEAD; "worktree@sha1:…" with the digest of the directory for saved files.
	Revision string
	// Ref is the full name of the reference it was found by; empty where there is none.
	Ref string
	// Hash is the commit's id, 40 hexadecimal digits.
	Hash string
	// Subject is the first paragraph of the message on one line.
	Subject string
	// Author is the author's name, Email the address.
	Author, Email string
	// When is the committer's time.
	When time.Time
	// Tag is the annotated tag by which it was found; nil where that is something else, or a lightweight tag.
	Tag *Tag
	// Tree is the files. Never nil.
	Tree Tree

	treeID  string
	parents []string // their ids, the first one first
	signed  []byte   // what the signature is over: the commit without it
	sig     string
	sigs    int // how many signatures stand in the commit; only 0 and 1 mean what they seem to
	message string
}

// Short is the revision as people read it: "main@4f2a9c1", or "4f2a9c1" where no reference is known.
func (c *Commit) Short() string {
	name := fluxgit.ExtractNamedPointerFromRevision(c.Revision)
	if name == "" {
		return c.Hash[:7]
	}
	return name + "@" + c.Hash[:7]
}

// revision gives the string for a commit found by the full reference name. Like Flux, a reference that was asked for by its full name keeps it.
func revision(hash, ref string, absolute bool) string {
	c := fluxgit.Commit{Hash: fluxgit.Hash(hash), Reference: ref}
	if absolute {
		return c.AbsoluteReference()
	}
	return c.String()
}

// parseCommit reads a commit object. It keeps the exact bytes that were signed, rather than encoding them again.
func parseCommit(hash string, raw []byte) (*Commit, error) {
	c := &Commit{Hash: hash}
	head, message, _ := bytes.Cut(raw, []byte("\n\n"))
	signed := make([]byte, 0, len(raw))
	inSig := false
	var sig strings.Builder
	for line := range bytes.Lines(append(bytes.Clone(head), '\n')) {
		if line[0] != ' ' {
			inSig = bytes.HasPrefix(line, []byte("gpgsig"))
		}
		if !inSig {
			signed = append(signed, line...)
			if err := c.header(string(line)); err != nil {
				return nil, fmt.Errorf("reading commit %s: %w", hash, err)
			}
			continue
		}
		rest := line[1:]
		if line[0] != ' ' {
			c.sigs++
			_, rest, _ = bytes.Cut(line, []byte(" "))
		}
		sig.Write(rest)
	}
	if len(c.treeID) != 40 {
		return nil, fmt.Errorf("reading commit %s: it names no tree", hash)
	}
	c.sig, c.message = sig.String(), string(message)
	c.signed = append(append(signed, '\n'), message...)
	c.Subject = subject(c.message)
	return c, nil
}

func (c *Commit) header(line string) error {
	key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	switch key {
	case "tree":
		c.treeID = value
	case "parent":
		c.parents = append(c.parents, value)
	case "author":
		c.Author, c.Email, _ = person.Name(value)
	case "committer":
		var err error
		if _, _, c.When, err = person.Parse(value); err != nil {
			return err
		}
	}
	return nil
}

func subject(message string) string {
	message = strings.TrimLeft(message, "\n")
	paragraph, _, _ := strings.Cut(message, "\n\n")
	return strings.Join(strings.Fields(paragraph), " ")
}
