package life

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"headgate.dev/agent/preview"
)

// NameOf is what the preview of a pull request is called.
func NameOf(number int) string { return fmt.Sprintf("pr-%d", number) }

// name gives each subject the name of its preview. A branch keeps the name that it has; a new one whose name another one has gets a digest behind it.
func (d *decider) name() {
	taken, branch := map[string]string{}, map[string]string{}
	for i := range d.World.Absences {
		if a := &d.World.Absences[i]; a.Branch != "" {
			taken[a.Name], branch[a.Branch] = a.Branch, a.Name
		}
	}
	for _, p := range d.previews {
		if p.Branch != "" {
			taken[p.Name], branch[p.Branch] = p.Branch, p.Name
		}
	}
	for _, s := range d.subjects {
		name := branch[s.Branch]
		switch {
		case s.Number > 0:
			name = NameOf(s.Number)
		case name == "":
			name = preview.Slug(s.Branch)
			if _, another := taken[name]; another {
				name = distinct(name, s.Branch)
			}
			taken[name] = s.Branch
		}
		d.names[s], d.byName[name] = name, s
	}
}

// distinct is a name that no other branch has.
func distinct(slug, branch string) string {
	sum := sha256.Sum256([]byte(branch))
	const longest = 40 - 9
	return slug[:min(len(slug), longest)] + "-" + hex.EncodeToString(sum[:4])
}
