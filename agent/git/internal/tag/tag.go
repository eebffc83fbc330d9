// Package tag reads annotated tags.
package tag

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"headgate.dev/agent/git/internal/person"
	"headgate.dev/agent/git/internal/refs"
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

	// Target is the id of what it names.
	Target string
	// Signed is what the signature is over, all before it; Signature is empty where there is none.
	Signed    []byte
	Signature string
}

// Parse reads a tag object. What is signed and the signature are told apart as Git does it: the last line that begins a signature begins it.
func Parse(hash string, raw []byte) (*Tag, error) {
	t := &Tag{Hash: hash, Signed: raw}
	head, _, _ := bytes.Cut(raw, []byte("\n\n"))
	for line := range strings.Lines(string(head)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "object":
			t.Target = value
		case "tag":
			t.Name = value
		case "tagger":
			var err error
			if t.Tagger, t.Email, t.When, err = person.Parse(value); err != nil {
				return nil, fmt.Errorf("reading tag %s: %w", hash, err)
			}
		}
	}
	if !refs.FullID.MatchString(t.Target) {
		return nil, fmt.Errorf("reading tag %s: it names no object", hash)
	}
	for at := len(head); at < len(raw); {
		if beginsSignature(raw[at:]) {
			t.Signed, t.Signature = raw[:at], string(raw[at:])
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
