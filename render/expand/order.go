package expand

import (
	"strconv"
	"strings"

	"headgate.dev/schema"
)

// checkOrder refuses to split a spec over several objects where that could change which rule answers: between equal
// matches of one object the first rule wins, between equal matches of several the oldest object does, and nobody
// can say which of them will be.
func checkOrder[M matching[M]](s *schema.ServiceSpec, kind string, groups [][]rule[M]) schema.Errors {
	if len(groups) < 2 {
		return nil
	}
	type place struct {
		group int
		rule  *rule[M]
		match M
	}
	ranks := map[string][]place{}
	for g := range groups {
		for r := range groups[g] {
			for _, m := range groups[g][r].matches {
				key := m.rank()
				ranks[key] = append(ranks[key], place{g, &groups[g][r], m})
			}
		}
	}
	// Reported in the order of the spec, once for each rule.
	var errs schema.Errors
	for g := range groups {
		for r := range groups[g] {
			later := &groups[g][r]
			for _, m := range later.matches {
				i := firstTie(len(ranks[m.rank()]), func(i int) bool {
					p := ranks[m.rank()][i]
					return p.group < g && m.overlaps(p.match)
				})
				if i < 0 {
					continue
				}
				first := ranks[m.rank()][i].rule
				errs = append(errs, s.Errorf(later.at, "is as specific as %s and only their order decides, but the spec has more rules than one %s holds (%d rules, %d matches) and the order of two is not defined; move the two next to each other, make one more specific, or split the spec",
					schema.FieldPath(first.at), kind, maxRules, maxMatches))
				break
			}
		}
	}
	return errs
}

// firstTie is the first of n indexes that fits, -1 for none.
func firstTie(n int, fits func(int) bool) int {
	for i := range n {
		if fits(i) {
			return i
		}
	}
	return -1
}

// rank tells matches apart by what Gateway API decides precedence by, as far as it is about the match itself. Regular
// expressions have no defined precedence: they all get one rank.
func (m match) rank() string {
	var b strings.Builder
	path := m.path.Value
	switch m.path.Kind {
	case schema.Prefix:
		b.WriteByte('P')
		path = strings.TrimRight(path, "/")
	case schema.Exact:
		b.WriteByte('E')
	case schema.Regex:
		b.WriteByte('R')
		path = ""
	}
	b.WriteString(path)
	b.WriteByte(' ')
	b.WriteString(strconv.FormatBool(m.method != ""))
	if m.path.Kind != schema.Regex {
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(len(m.route.Headers)))
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(len(m.route.Query)))
	}
	return b.String()
}

// overlaps tells whether a request could fit both, given the same rank. In doubt it could.
func (m match) overlaps(o match) bool {
	if m.method != o.method && m.method != "" && o.method != "" {
		return false
	}
	return !contradict(m.route.Headers, o.route.Headers, strings.EqualFold) &&
		!contradict(m.route.Query, o.route.Query, func(a, b string) bool { return a == b })
}

// contradict tells whether both want one name to have different exact values.
func contradict(a, b []schema.ValueMatch, same func(a, b string) bool) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Kind == schema.Exact && y.Kind == schema.Exact && same(x.Name, y.Name) && x.Value != y.Value {
				return true
			}
		}
	}
	return false
}
