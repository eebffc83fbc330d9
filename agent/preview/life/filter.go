package life

import (
	"slices"
	"strings"
)

// excluded says why a subject gets no preview; empty when it does. It is about what the subject is, not about its head.
func (r *Rules) excluded(s *Subject) string {
	if r.Branches {
		switch {
		case s.Branch == "" || s.Branch == r.Follows:
			return "it is what the Sync follows"
		case !slices.ContainsFunc(r.Names, func(p string) bool { return Match(p, s.Branch) }):
			return "its name is none of those in previews.branches.names"
		}
		return ""
	}
	return r.excludedPull(s)
}

func (r *Rules) excludedPull(s *Subject) string {
	targets := r.Targets
	if len(targets) == 0 {
		targets = []string{r.Follows}
	}
	switch {
	case s.Number == 0:
		return "previews are of pull requests"
	case s.Draft && !r.Drafts:
		return "it is a draft"
	case !slices.ContainsFunc(targets, func(p string) bool { return Match(p, s.Target) }):
		return "it goes to " + s.Target + ", which is none of previews.pullRequests.targets"
	case len(r.Labels) > 0 && !slices.ContainsFunc(r.Labels, s.labelled):
		return "it has none of the labels in previews.pullRequests.labels"
	case !r.admits(s.Author):
		return "previews.pullRequests.authors leaves its author out"
	}
	return ""
}

func (s *Subject) labelled(label string) bool { return slices.Contains(s.Labels, label) }

// admits tells whether an author gets previews. Hosts do not tell names apart by case.
func (r *Rules) admits(author string) bool {
	named, among := false, false
	for _, a := range r.Authors {
		if not, found := strings.CutPrefix(a, "!"); found {
			if strings.EqualFold(not, author) {
				return false
			}
			continue
		}
		named = true
		among = among || strings.EqualFold(a, author)
	}
	return among || !named
}

// Match tells whether the name of a branch is what a pattern stands for: "*" is any characters but a slash, "**" any at all.
func Match(pattern, name string) bool {
	// at are the places in the pattern that the name up to here may have led to; so it costs the product of both lengths at most.
	at := make([]bool, len(pattern)+1)
	at[0] = true
	for i := 0; ; i++ {
		for p := range pattern {
			if !at[p] || pattern[p] != '*' {
				continue
			}
			if strings.HasPrefix(pattern[p:], "**") {
				at[p+2] = true
			} else {
				at[p+1] = true
			}
		}
		if i == len(name) {
			return at[len(pattern)]
		}
		at = step(pattern, at, name[i])
	}
}

// step is where one character of the name leads.
func step(pattern string, at []bool, c byte) []bool {
	next := make([]bool, len(at))
	for p := range len(pattern) {
		switch {
		case !at[p]:
		case pattern[p] != '*':
			next[p+1] = next[p+1] || pattern[p] == c
		case strings.HasPrefix(pattern[p:], "**") || c != '/':
			next[p] = true
		}
	}
	return next
}
