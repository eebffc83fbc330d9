package git

import (
	"errors"
	"fmt"
	"strings"

	fluxgit "github.com/fluxcd/pkg/git"

	"headgate.dev/agent/git/internal/tag"
)

// Tag is an annotated tag.
type Tag = tag.Tag

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
	case c.Tag.Signature == "":
		return "", &SignatureError{Revision: c.Revision, Tag: name, Unsigned: true}
	}
	f := fluxgit.Tag{Hash: fluxgit.Hash(c.Tag.Hash), Name: name, Signature: c.Tag.Signature, Encoded: c.Tag.Signed}
	id, err := verify(&f, k)
	if err != nil {
		return fail(err)
	}
	return id, nil
}
