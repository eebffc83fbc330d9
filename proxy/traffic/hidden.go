package traffic

import (
	"slices"
	"strings"

	"headgate.dev/proxy/model"
)

// Hidden is a route that no request can reach, because one that is tried earlier takes all of them.
type Hidden struct {
	Host    string `json:"host"`
	Request string `json:"request"` // what the route asks for, as in Row
	// Same: the other route asks for the very same requests. Two services claim them.
	Same bool `json:"same"`
	// Why the other one goes first: "shorter path", "as specific, but HTTPRoute web/shop is older".
	Why string `json:"why"`
	// Tie: the matches of two objects are as specific as each other, so that by themselves only age or name decides. The hosts that
	// the objects name may still differ, which the model does not know.
	Tie       bool         `json:"tie"`
	Route, By model.Source `json:"-"`
}

// FindHidden lists the routes of a host that can never match, in the order in which they would be tried.
func FindHidden(h *model.Host) []Hidden {
	if h == nil {
		return nil
	}
	var out []Hidden
	index := newIndex()
	for i := range h.Routes {
		r := &h.Routes[i]
		for _, earlier := range index.candidates(&r.Match) {
			if by := &h.Routes[earlier]; covers(&by.Match, &r.Match) {
				why, tie := compare(by, r)
				out = append(out, Hidden{
					Host: h.ID.Name, Request: request(&r.Match), Same: sameMatch(&by.Match, &r.Match), Why: why,
					Tie: tie && by.Source.Object() != r.Source.Object(), Route: r.Source, By: by.Source,
				})
				break
			}
		}
		index.add(i, &r.Match)
	}
	return out
}

// index finds the routes whose path may cover another one's without looking at all of them.
type index struct {
	exact, prefix map[string][]int
	regex         []int
}

func newIndex() *index { return &index{exact: map[string][]int{}, prefix: map[string][]int{}} }

func (x *index) add(i int, m *model.Match) {
	switch m.PathKind {
	case model.PathExact:
		x.exact[m.Path] = append(x.exact[m.Path], i)
	case model.PathRegex:
		x.regex = append(x.regex, i)
	default:
		x.prefix[m.Path] = append(x.prefix[m.Path], i)
	}
}

func (x *index) candidates(m *model.Match) []int {
	out := slices.Clone(x.prefix["/"])
	if m.PathKind == model.PathExact {
		out = append(out, x.exact[m.Path]...)
	}
	if m.PathKind != model.PathRegex {
		for p := m.Path; len(p) > 1; p = p[:strings.LastIndexByte(p, '/')] {
			out = append(out, x.prefix[p]...)
		}
	}
	out = append(out, x.regex...)
	slices.Sort(out)
	return out
}

// covers tells whether a takes every request that b takes, as far as that can be seen without comparing expressions.
func covers(a, b *model.Match) bool {
	return coversPath(a, b) && (!a.GRPC || b.GRPC) && (a.Method == "" || a.Method == b.Method) &&
		among(a.Headers, b.Headers) && among(a.Query, b.Query)
}

func coversPath(a, b *model.Match) bool {
	everything := a.PathKind == model.PathRegex && (a.Path == ".*" || a.Path == "/.*")
	switch {
	case everything, a.PathKind == model.PathPrefix && a.Path == "/":
		return true
	case b.PathKind == model.PathRegex:
		return a.PathKind == model.PathRegex && a.Path == b.Path
	case b.PathKind == model.PathExact:
		return onPath(a, b.Path)
	default:
		return a.PathKind == model.PathPrefix && below(b.Path, a.Path)
	}
}

// among tells whether b asks for everything that a asks for.
func among(a, b []model.ValueMatch) bool {
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y model.ValueMatch) bool {
			return x == y || x.Name == y.Name && x.Regex && !y.Regex && whole(x.Value, y.Value)
		}) {
			return false
		}
	}
	return true
}

func sameMatch(a, b *model.Match) bool {
	return a.PathKind == b.PathKind && a.Path == b.Path && a.Method == b.Method && a.GRPC == b.GRPC &&
		slices.Equal(a.Headers, b.Headers) && slices.Equal(a.Query, b.Query)
}
