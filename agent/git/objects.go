package git

import (
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"headgate.dev/agent/git/internal/odb"
	"headgate.dev/agent/git/internal/tag"
)

// objects are the objects of one repository, commits and tags understood.
type objects struct{ *odb.Reader }

func newObjects(dir string) *objects { return &objects{odb.New(dir)} }

// maxMeta bounds a commit or tag object, in bytes.
const maxMeta = 8 << 20

// commit reads the commit that id is, or that the tag with that id leads to.
func (o *objects) commit(id plumbing.Hash) (*Commit, error) {
	var first *Tag
	for range 10 {
		f, err := o.Read(id, plumbing.AnyObject, maxMeta)
		switch {
		case err != nil:
			return nil, err
		case f.Kind == plumbing.CommitObject:
			c, err := parseCommit(id.String(), f.Data)
			if err == nil {
				c.Tag = first
			}
			return c, err
		case f.Kind != plumbing.TagObject:
			return nil, fmt.Errorf("it is a %s, not a commit", f.Kind)
		}
		t, err := tag.Parse(id.String(), f.Data)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = t
		}
		id = plumbing.NewHash(t.Target)
	}
	return nil, errors.New("a tag of a tag of a tag, ten levels deep")
}
