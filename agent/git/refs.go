package git

import (
	"errors"
	"slices"
	"strings"

	"headgate.dev/agent/git/internal/refs"
	"headgate.dev/agent/git/internal/version"
)

// target is what a reference points at.
type target struct {
	hash string
	// ref is the full name of the reference; empty for a bare commit.
	ref string
	// absolute: asked for by its full name, which the revision keeps.
	absolute bool
}

var fullID = refs.FullID

// candidates gives the full names a Ref may mean, the most likely first. None for HEAD, a range and a commit.
func (r Ref) candidates() []string {
	switch {
	case r.Commit != "" || r.SemVer != "":
		return nil
	case r.Branch != "":
		return []string{"refs/heads/" + r.Branch}
	case r.Tag != "":
		return []string{"refs/tags/" + r.Tag}
	case strings.HasPrefix(r.Name, "refs/"):
		return []string{r.Name}
	case r.Name != "" && r.Name != "HEAD":
		return []string{"refs/heads/" + r.Name, "refs/tags/" + r.Name}
	}
	return nil
}

func (r Ref) absolute() bool { return strings.HasPrefix(r.Name, "refs/") }

// maybeCommit tells that a short name may also be a commit's id.
func (r Ref) maybeCommit() bool { return r.Name != "" && !r.absolute() && hexID.MatchString(r.Name) }

// localRefs finds what is wanted among the references of a repository on disk.
type localRefs struct{ *refs.Files }

// below gives the ids of all references below a prefix, "refs/tags/", by their full names.
func (l localRefs) below(prefix string) (map[string]string, error) {
	found, err := l.Below(prefix)
	return found, tooMany(err)
}

// read follows a reference to an id: full name of the last reference, id. An id of "" is a reference that does not exist.
func (l localRefs) read(name string) (ref, hash string, err error) {
	ref, hash, err = l.Read(name)
	return ref, hash, tooMany(err)
}

func tooMany(err error) error {
	var many *refs.TooManyError
	if errors.As(err, &many) {
		return &TooBigError{What: "reading " + many.Path, Limit: many.Limit, Unit: "bytes of references",
			Hint: "delete references that are not needed, or raise the limit"}
	}
	return err
}

// resolve finds what the Ref means. The id may be a tag's. An ancestor is known by no reference.
func (l localRefs) resolve(r Ref, o *objects) (target, error) {
	t, err := l.begin(r, o)
	if err != nil || r.Back == "" {
		return t, err
	}
	hash, err := o.ancestor(t.hash, r.Back)
	return target{hash: hash}, err
}

// begin finds where the way back of a Ref begins.
func (l localRefs) begin(r Ref, o *objects) (target, error) {
	switch {
	case r.Commit != "":
		return l.byID(r.Commit, o)
	case r.SemVer != "":
		tags, err := l.below("refs/tags/")
		if err != nil {
			return target{}, err
		}
		if name, ok := version.Highest(r.SemVer, tags); ok {
			return target{hash: tags[name], ref: name}, nil
		}
		return target{}, &NotFoundError{Ref: "a tag in the range " + r.SemVer}
	}
	names := r.candidates()
	if names == nil {
		return l.head()
	}
	for _, name := range names {
		ref, hash, err := l.read(name)
		if err != nil {
			return target{}, err
		}
		if hash != "" {
			if r.absolute() {
				ref = name
			}
			return target{hash: hash, ref: ref, absolute: r.absolute()}, nil
		}
	}
	if r.maybeCommit() {
		return l.byID(r.Name, o)
	}
	return target{}, &NotFoundError{Ref: strings.Join(names, " or ")}
}

func (l localRefs) head() (target, error) {
	ref, hash, err := l.read("HEAD")
	switch {
	case err != nil:
		return target{}, err
	case hash == "" && ref != "HEAD":
		return target{}, &NotFoundError{Ref: ref + ", which HEAD names,", Hint: "commit something first, or switch to a branch with commits"}
	case hash == "":
		return target{}, &NotFoundError{Ref: "HEAD"}
	case ref == "HEAD":
		ref = ""
	}
	return target{hash: hash, ref: ref}, nil
}

func (l localRefs) byID(id string, o *objects) (target, error) {
	if len(id) == 40 {
		return target{hash: id}, nil
	}
	ids, err := o.WithPrefix(id)
	if err != nil {
		return target{}, err
	}
	var commits []string
	for _, h := range ids {
		if c, err := o.commit(h); err == nil && c.Hash == h.String() {
			commits = append(commits, c.Hash)
		}
	}
	slices.Sort(commits)
	switch len(commits) {
	case 0:
		return target{}, &NotFoundError{Ref: "commit " + id}
	case 1:
		return target{hash: commits[0]}, nil
	}
	return target{}, &NotFoundError{Ref: "commit " + id, Hint: "it may be " + strings.Join(commits, " or ") + ": give more digits"}
}
