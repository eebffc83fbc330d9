package git

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	fluxgit "github.com/fluxcd/pkg/git"

	"headgate.dev/agent/git/internal/person"
)

// Tag is an annotated tag: an object of its own, with a message and perhaps a signature, that names a commit.
type Tag struct {
	// Hash is the object's id, 40 hexadecimal digits.
	Hash string
	// Name is what the tag calls itself. Only a reference says what it is called there.
	Name string
	// Tagger is who made it, Email the address.
	Tagger, Email string
	// When is the time at which it was made.
	When time.Time

	target string // the id of what it names
	signed []byte // what the signature is over: all before it
	sig    string
}

// parseTag reads a tag object. What is signed and the signature are told apart as Git does it: the last line that begins a signature begins it.
func parseTag(hash string, raw []byte) (*Tag, error) {
	t := &Tag{Hash: hash, signed: raw}
	head, _, _ := bytes.Cut(raw, []byte("\n\n"))
	for line := range strings.Lines(string(head)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "object":
			t.target = value
		case "tag":
			t.Name = value
		case "tagger":
			var err error
			if t.Tagger, t.Email, t.When, err = person.Parse(value); err != nil {
				return nil, fmt.Errorf("reading tag %s: %w", hash, err)
			}
		}
	}
	if !fullID.MatchString(t.target) {
		return nil, fmt.Errorf("reading tag %s: it names no object", hash)
	}
	for at := len(head); at < len(raw); {
		if beginsSignature(raw[at:]) {
			t.signed, t.sig = raw[:at], string(raw[at:])
		}
		end := bytes.IndexByte(raw[at:], '\n')
		if end < 0 {
			break
		}
		at += end + 1
	}
	return t, nil
}

// beginsSignature knows the first lines that Git knows (gpg-interface.c).
func beginsSignature(line []byte) bool {
	for _, s := range []string{"PGP SIGNATURE", "PGP MESSAGE", "SIGNED MESSAGE", "SSH SIGNATURE"} {
		if bytes.HasPrefix(line, []byte("-----BEGIN "+s+"-----")) {
			return true
		}
	}
	return false
}

// VerifyTag checks the signature of the annotated tag by which the commit was found, and gives the id of the key, as Verify does. The tag must call
// itself what the reference calls it, so that a signed tag cannot be shown as another version. Any other outcome is a SignatureError.
func (c *Commit) VerifyTag(k Keys) (string, error) {
	name, isTag := strings.CutPrefix(c.Ref, "refs/tags/")
	fail := func(err error) (string, error) {
		return "", &SignatureError{Revision: c.Revision, Tag: name, Err: err}
	}
	switch {
	case !isTag:
		return fail(errors.New("it was not found by a tag, whose signature is wanted: follow a tag or a range of versions"))
	case c.Tag == nil:
		return fail(errors.New(`it is a lightweight tag, which cannot be signed: make a signed one with "git tag -s"`))
	case c.Tag.Name != name:
		return fail(fmt.Errorf("the signed tag calls itself %q: somebody gave it another name", c.Tag.Name))
	case c.Tag.sig == "":
		return "", &SignatureError{Revision: c.Revision, Tag: name, Unsigned: true}
	}
	f := fluxgit.Tag{Hash: fluxgit.Hash(c.Tag.Hash), Name: name, Signature: c.Tag.sig, Encoded: c.Tag.signed}
	id, err := verify(&f, k)
	if err != nil {
		return fail(err)
	}
	return id, nil
}
