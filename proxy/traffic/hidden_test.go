package traffic

import (
	"fmt"
	"slices"
	"testing"

	"headgate.dev/proxy/model"
)

func TestFindHidden(t *testing.T) {
	get := func(m model.Match) model.Match { m.Method = "GET"; return m }
	ring := func(m model.Match, value string, regex bool) model.Match {
		m.Headers = []model.ValueMatch{{Name: "x-ring", Value: value, Regex: regex}}
		return m
	}
	prefix := func(p string) model.Match { return model.Match{Path: p} }
	call := func(p string) model.Match { return model.Match{Path: p, GRPC: true} }
	exact := func(p string) model.Match { return model.Match{PathKind: model.PathExact, Path: p} }
	regex := func(p string) model.Match { return model.Match{PathKind: model.PathRegex, Path: p} }
	for name, c := range map[string]struct {
		matches []model.Match
		want    []string // "LATER<EARLIER", with "=" where both are the same
	}{
		"nothing":                {[]model.Match{exact("/a"), prefix("/a"), prefix("/")}, nil},
		"the same":               {[]model.Match{prefix("/a"), prefix("/a"), prefix("/a")}, []string{"1=0", "2=0"}},
		"below":                  {[]model.Match{prefix("/a"), exact("/a/b"), prefix("/a/b"), prefix("/ab")}, []string{"1<0", "2<0"}},
		"everything":             {[]model.Match{regex("/.*"), prefix("/a"), regex("/b")}, []string{"1<0", "2<0"}},
		"regular expression":     {[]model.Match{regex("/[ab]"), exact("/a"), exact("/c"), prefix("/a"), regex("/[ab]")}, []string{"1<0", "4=0"}},
		"method":                 {[]model.Match{get(prefix("/")), prefix("/a"), get(prefix("/b"))}, []string{"2<0"}},
		"gRPC behind HTTP":       {[]model.Match{prefix("/a"), call("/a"), call("/b")}, []string{"1<0"}},
		"HTTP behind gRPC":       {[]model.Match{call("/a"), prefix("/a"), call("/a")}, []string{"2=0"}},
		"the same call":          {[]model.Match{call("/a"), call("/a")}, []string{"1=0"}},
		"header":                 {[]model.Match{ring(prefix("/a"), "x", false), ring(prefix("/a"), "y", false), prefix("/a")}, nil},
		"header, all its values": {[]model.Match{ring(prefix("/a"), ".*", true), ring(prefix("/a"), "y", false), prefix("/a")}, []string{"1<0"}},
	} {
		routes := make([]model.Route, len(c.matches))
		for i, m := range c.matches {
			routes[i].Match = m
		}
		var got []string
		for _, h := range FindHidden(hostOf(routes...)) {
			got = append(got, fmt.Sprintf("%d%s%d", h.Route.Rule, map[bool]string{true: "=", false: "<"}[h.Same], h.By.Rule))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestHiddenWhy: who wins of two that claim the same requests, and why.
func TestHiddenWhy(t *testing.T) {
	h := hostOf(model.Route{Match: model.Match{Path: "/a"}}, model.Route{Match: model.Match{Path: "/a"}}, model.Route{Match: model.Match{Path: "/a/b"}})
	h.Routes[1].Source.Name.Name = "other"
	h.Routes[0], h.Routes[1] = h.Routes[1], h.Routes[0]
	var got []string
	for _, f := range FindHidden(h) {
		got = append(got, fmt.Sprint(f.Route.Name, " ", f.By.Name, " ", f.Same, " ", f.Why))
	}
	want := []string{
		"web/shop web/other true as specific, but HTTPRoute web/other is older, or first by name",
		"web/shop web/other false its route names a less specific host",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLost(t *testing.T) {
	h := hostOf(
		model.Route{Match: model.Match{PathKind: model.PathExact, Path: "/a"}},
		model.Route{Match: model.Match{PathKind: model.PathRegex, Path: "/.*"}},
		model.Route{Match: model.Match{Path: "/a"}},
		model.Route{Match: model.Match{Path: "/a"}},
		model.Route{Match: model.Match{Path: "/"}},
		model.Route{Match: model.Match{PathKind: model.PathExact, Path: "/a", Method: "GET"}},
	)
	h.Routes[3].Source.Name.Name = "other"
	hosts := func(name string) *model.Host { return map[string]*model.Host{"shop.test": h}[name] }
	e := Explain(&model.Table{Protocol: model.HTTP}, hosts, Request{Host: "shop.test", Path: "/a"})
	want := []string{
		"exact path /a matches", "an exact path goes before a regular expression", "an exact path goes before a prefix",
		"an exact path goes before a prefix", "an exact path goes before a prefix", "its route names a less specific host",
	}
	for i, w := range want {
		if e.Trials[i].Why != w || !e.Trials[i].Matches {
			t.Errorf("route %d: %q, want %q", i, e.Trials[i].Why, w)
		}
	}
	for _, c := range []struct {
		winner, loser int
		want          string
	}{
		{2, 4, "shorter path"},
		{2, 3, "as specific, but HTTPRoute web/shop is older"},
		{3, 2, "as specific, but HTTPRoute web/other is older, or first by name"},
		{2, 2, "as specific, but later in the route"},
	} {
		if got := lost(&h.Routes[c.winner], &h.Routes[c.loser]); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
