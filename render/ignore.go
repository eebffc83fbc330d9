package render

import (
	"path"
	"slices"
	"strings"

	"headgate.dev/render/kustomize"
	"headgate.dev/schema"
)

// ignoreFile names, in the syntax of .gitignore, what is not read in the plain directory it lies in and below. What a
// kustomization lists is read all the same.
const ignoreFile = ".headgateignore"

// ignore is the rules of one ignoreFile and of those above it. The nil ignore ignores nothing.
type ignore struct {
	above *ignore
	dir   string
	rules []rule
	text  string
}

// rule is one line of an ignoreFile.
type rule struct {
	parts    []string // path segments; "**" is any number of them
	negated  bool
	dirsOnly bool
}

func (i *ignore) key() string {
	if i == nil {
		return ""
	}
	return i.text
}

// ignore reads the ignoreFile of a directory, if it has one.
func (t *tree) ignore(dir string, above *ignore) (*ignore, error) {
	name := path.Join(dir, ignoreFile)
	kind, err := t.Kind(name)
	if err != nil || kind != kustomize.Regular {
		return above, err
	}
	data, err := t.Read(name)
	if err != nil {
		return above, err
	}
	i := &ignore{above: above, dir: dir, text: above.key() + "\n" + dir + "\n" + string(data)}
	var errs schema.Errors
	for n, line := range strings.Split(string(data), "\n") {
		r, ok := parseRule(line)
		if !ok {
			continue
		}
		for _, part := range r.parts {
			if _, err := path.Match(part, ""); err != nil {
				errs = append(errs, &schema.Error{
					Position: schema.Position{File: name, Line: n + 1, Column: 1}, Message: "is no pattern: " + line,
				})
			}
		}
		i.rules = append(i.rules, r)
	}
	if len(errs) > 0 {
		return i, errs
	}
	return i, nil
}

// parseRule parses a line; ok is false for blank lines and comments.
func parseRule(line string) (r rule, ok bool) {
	line = strings.TrimRight(line, " \t\r")
	if line == "" || line[0] == '#' {
		return rule{}, false
	}
	if r.negated = line[0] == '!'; r.negated {
		line = line[1:]
	}
	line = strings.TrimPrefix(line, `\`) // \# and \!
	if r.dirsOnly = strings.HasSuffix(line, "/"); r.dirsOnly {
		line = strings.TrimSuffix(line, "/")
	}
	anchored := strings.Contains(line, "/")
	r.parts = strings.Split(strings.TrimPrefix(line, "/"), "/")
	if !anchored {
		r.parts = append([]string{"**"}, r.parts...)
	}
	return r, line != ""
}

// match tells whether a name is ignored: the last rule that fits decides, those of inner files before those of outer.
func (i *ignore) match(name string, isDir bool) bool {
	for ; i != nil; i = i.above {
		relative := name
		if i.dir != "." {
			relative = strings.TrimPrefix(name, i.dir+"/")
		}
		segments := strings.Split(relative, "/")
		for n := len(i.rules) - 1; n >= 0; n-- {
			if r := i.rules[n]; (isDir || !r.dirsOnly) && matchParts(r.parts, segments) {
				return !r.negated
			}
		}
	}
	return false
}

// matchParts matches a path against a pattern, both in segments, in time proportional to the product of their lengths.
func matchParts(parts, segments []string) bool {
	// reached[i]: the parts so far match the first i segments.
	reached := make([]bool, len(segments)+1)
	reached[0] = true
	for p, part := range parts {
		next := make([]bool, len(segments)+1)
		if part == "**" {
			first := slices.Index(reached, true)
			if first >= 0 && p == len(parts)-1 {
				first++ // at the end it stands for something
			}
			for i := max(first, 0); first >= 0 && i <= len(segments); i++ {
				next[i] = true
			}
			reached = next
			continue
		}
		for i, segment := range segments {
			if reached[i] {
				ok, err := path.Match(part, segment)
				next[i+1] = ok && err == nil
			}
		}
		reached = next
	}
	return reached[len(segments)]
}
