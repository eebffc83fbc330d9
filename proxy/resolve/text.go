package resolve

import (
	"regexp/syntax"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// maxCost bounds the compiled size of a regular expression, as cost counts it: enough for anything a person writes, and
// half of the 131,000 instructions for which RE2 has room by default. (Envoy's own limit of 100 is a runtime value,
// re2.max_program_size.error_level, which the bootstrap of our proxies has to lift.)
const maxCost = 60000

// checkRegex checks that an expression is one that RE2, which the proxy uses, accepts too. Go's syntax is RE2's but for the
// names of character classes, where Go takes more.
func checkRegex(expr string) *fault {
	switch {
	case expr == "":
		return unsupported("the regular expression is empty")
	case !utf8.ValidString(expr) || strings.IndexByte(expr, 0) >= 0:
		return unsupported("the regular expression %q is not UTF-8 text", shorten(expr))
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return unsupported("%q is not an RE2 regular expression: %s", shorten(expr),
			strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if name := foreignClass(expr); name != "" {
		return unsupported("%q is not an RE2 regular expression: it knows no character class %q", shorten(expr), name)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil || cost(prog) > maxCost {
		return unsupported("the regular expression %q is too large once its repetitions are written out", shorten(expr))
	}
	return nil
}

// cost estimates, from above, how many instructions RE2 needs, which works on bytes: each range of a class beyond ASCII
// takes several.
func cost(p *syntax.Prog) int {
	n := 0
	for i := range p.Inst {
		switch in := &p.Inst[i]; in.Op {
		case syntax.InstRune, syntax.InstRune1:
			ranges := (len(in.Rune) + 1) / 2
			if ranges == 0 || in.Rune[len(in.Rune)-1] < utf8.RuneSelf {
				n += 1 + ranges
			} else {
				n += 8 * ranges
			}
		case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			n += 12
		default:
			n++
		}
	}
	return n
}

// foreignClass finds a \p{Name} that RE2 does not know.
func foreignClass(expr string) string {
	for i := 0; i+1 < len(expr); i++ {
		if expr[i] != '\\' {
			continue
		}
		i++
		if (expr[i] != 'p' && expr[i] != 'P') || i+1 >= len(expr) || expr[i+1] != '{' {
			continue
		}
		name, _, _ := strings.Cut(expr[i+2:], "}")
		bare := strings.TrimPrefix(name, "^")
		_, category := unicode.Categories[bare]
		_, script := unicode.Scripts[bare]
		if known := bare == "Any" || script || (category && bare != "Cn" && bare != "LC"); !known {
			return name
		}
	}
	return ""
}

// duration reads a Duration of the API (GEP-2257): one to four numbers of up to five digits, each with one of the units
// h, m, s, ms. field is for the message.
func duration(d *gwv1.Duration, field string) (*time.Duration, *fault) {
	if d == nil {
		return nil, nil
	}
	rest := string(*d)
	for part := 0; rest != ""; part++ {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if part == 4 || digits == 0 || digits > 5 {
			return nil, badDuration(*d, field)
		}
		rest = rest[digits:]
		switch {
		case strings.HasPrefix(rest, "ms"):
			rest = rest[2:]
		case rest != "" && strings.IndexByte("hms", rest[0]) >= 0:
			rest = rest[1:]
		default:
			return nil, badDuration(*d, field)
		}
	}
	v, err := time.ParseDuration(string(*d))
	if err != nil {
		return nil, badDuration(*d, field)
	}
	return &v, nil
}

func badDuration(d gwv1.Duration, field string) *fault {
	return unsupported("%s: %q is not a duration; write one like 10s, 1m30s or 500ms", field, shorten(string(d)))
}

// insertSorted adds v where it is missing.
func insertSorted(list []int, v int) []int {
	i, found := slices.BinarySearch(list, v)
	if found {
		return list
	}
	return slices.Insert(list, i, v)
}
