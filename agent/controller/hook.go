package controller

import (
	"slices"
	"strings"
	"time"

	"headgate.dev/agent/forge"
	"headgate.dev/schema"
)

// shortestToken is how long the token of a hook must be: a shorter one could be guessed from the path that is made of it.
const shortestToken = 16

// hookPrefix is in front of the path of every hook.
const hookPrefix = "/hook/"

// hookOf makes the hook of a Sync from the token in its Secret. The message says why there is none.
func hookOf(s *schema.Sync, data map[string][]byte) (h forge.Hook, message string) {
	token := strings.TrimSpace(string(data["token"]))
	switch {
	case token == "":
		return h, "there is no token in it"
	case len(token) < shortestToken:
		return h, "its token has less than 16 characters, and could be guessed"
	}
	return forge.Hook{Name: s.Namespace + "/" + s.Name, Kind: forge.Kind(s.Spec.Forge.Kind), Secrets: []string{token},
		Path: forge.PathOf(token, s.Namespace, s.Name)}, ""
}

// rumour is what a hint says about the reference that a Sync follows.
type rumour struct {
	// concerned: the reference may have moved.
	concerned bool
	// commit is where it is said to be, if that can be waited for.
	commit string
}

// heard says what a hint means to a Sync. It is for the Sync whose hook it came by, and for others of the same repository.
func heard(s *schema.Sync, hint forge.Hint) rumour {
	here := func(u string) bool { return sameRepository(u, s.Spec.URL) }
	switch {
	case s.Spec.Suspend, s.Spec.Pin != "", len(hint.Repository) > 0 && !slices.ContainsFunc(hint.Repository, here):
		return rumour{}
	case hint.More:
		return rumour{concerned: true}
	}
	ref := schema.SyncRef{}
	if s.Spec.Ref != nil {
		ref = *s.Spec.Ref
	}
	for _, r := range hint.Refs {
		follows, certain := refConcerns(ref, r.Ref)
		if !follows {
			continue
		}
		if !certain {
			r.Commit = ""
		}
		return rumour{concerned: true, commit: r.Commit}
	}
	return rumour{}
}

// refConcerns tells whether a Sync may follow the reference called name, and whether the commit that a push names is then the one to be found. Of a
// tag that may be the tag's own id.
func refConcerns(ref schema.SyncRef, name string) (follows, certain bool) {
	branch, isBranch := strings.CutPrefix(name, "refs/heads/")
	tag, isTag := strings.CutPrefix(name, "refs/tags/")
	switch {
	case ref.Commit != "":
		return false, false
	case ref.SemVer != "":
		return isTag, false
	case ref.Tag != "":
		return isTag && tag == ref.Tag, false
	case ref.Branch != "":
		return isBranch && branch == ref.Branch, isBranch && branch == ref.Branch
	case ref.Name != "":
		return name == ref.Name, name == ref.Name && !isTag
	}
	return isBranch, false // it may be the default branch
}

// sameRepository tells whether two URLs can be those of one repository. A host may have another name inside of the cluster than outside, and serve from
// below a path over HTTP; of a hint that is good enough.
func sameRepository(one, other string) bool {
	_, a, _ := strings.Cut(forge.Key(one), "/")
	_, b, _ := strings.Cut(forge.Key(other), "/")
	if a == "" || b == "" {
		return false
	}
	return a == b || strings.HasSuffix(a, "/"+b) || strings.HasSuffix(b, "/"+a)
}

// pushedAt is when a push was, as far as a hint can be trusted with that: by a clock that is about ours, and not long ago.
func pushedAt(hint forge.Hint) time.Time {
	if hint.Pushed.IsZero() || hint.Pushed.After(hint.First) || hint.First.Sub(hint.Pushed) > time.Hour {
		return time.Time{}
	}
	return hint.Pushed
}
