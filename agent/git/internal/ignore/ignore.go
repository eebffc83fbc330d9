// Package ignore knows which files of a work tree Git ignores.
package ignore

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// Rules tell which files of a work tree Git ignores, by .gitignore and info/exclude. They read each of them once.
type Rules struct {
	root, common string // constant

	mu    sync.Mutex
	byDir map[string][]gitignore.Pattern // with those of the parents, which weigh less, in front
}

// New makes the rules of a work tree; common is the directory that holds info/exclude, empty outside of a repository. It reads
// the latter at once, and each .gitignore when it is first needed.
func New(root, common string) *Rules {
	g := &Rules{root: root, common: common, byDir: map[string][]gitignore.Pattern{}}
	if common != "" {
		g.byDir[""] = readPatterns(filepath.Join(common, "info", "exclude"), nil)
	}
	return g
}

// Match tells whether a path below the root, slash-separated, is ignored.
func (g *Rules) Match(name string, isDir bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	patterns := g.of(path.Dir(name))
	if len(patterns) == 0 {
		return false
	}
	return gitignore.NewMatcher(patterns).Match(strings.Split(name, "/"), isDir)
}

func (g *Rules) of(dir string) []gitignore.Pattern {
	if p, ok := g.byDir[dir]; ok {
		return p
	}
	var domain []string
	if dir != "." {
		domain = strings.Split(dir, "/")
	}
	up := g.above(dir)
	own := readPatterns(filepath.Join(g.root, filepath.FromSlash(dir), ".gitignore"), domain)
	all := append(up[:len(up):len(up)], own...)
	g.byDir[dir] = all
	return all
}

// above gives the patterns that a directory has from elsewhere.
func (g *Rules) above(dir string) []gitignore.Pattern {
	if dir == "." {
		return g.byDir[""]
	}
	return g.of(path.Dir(dir))
}

// Lacks says of a directory that there is no .gitignore in it, so that none is looked for: in a tree of many directories that
// would cost as much as listing them.
func (g *Rules) Lacks(dir string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.byDir[dir]; !known {
		g.byDir[dir] = g.above(dir)
	}
}

func readPatterns(file string, domain []string) []gitignore.Pattern {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil // there is none
	}
	var patterns []gitignore.Pattern
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) != "" && line[0] != '#' {
			patterns = append(patterns, gitignore.ParsePattern(line, domain))
		}
	}
	return patterns
}
