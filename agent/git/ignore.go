package git

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// ignores tells which files of a work tree Git ignores, by .gitignore and info/exclude. It reads each of them once.
type ignores struct {
	root, common string

	mu    sync.Mutex
	byDir map[string][]gitignore.Pattern // with those of the parents, which weigh less, in front
}

func newIgnores(root, common string) *ignores {
	g := &ignores{root: root, common: common, byDir: map[string][]gitignore.Pattern{}}
	if common != "" {
		g.byDir[""] = readPatterns(filepath.Join(common, "info", "exclude"), nil)
	}
	return g
}

func (g *ignores) match(name string, isDir bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	patterns := g.of(path.Dir(name))
	if len(patterns) == 0 {
		return false
	}
	return gitignore.NewMatcher(patterns).Match(strings.Split(name, "/"), isDir)
}

func (g *ignores) of(dir string) []gitignore.Pattern {
	if p, ok := g.byDir[dir]; ok {
		return p
	}
	parent, domain := "", []string(nil)
	if dir != "." {
		parent, domain = path.Dir(dir), strings.Split(dir, "/")
	}
	up := g.byDir[""]
	if dir != "." {
		up = g.of(parent)
	}
	own := readPatterns(filepath.Join(g.root, filepath.FromSlash(dir), ".gitignore"), domain)
	all := append(up[:len(up):len(up)], own...)
	g.byDir[dir] = all
	return all
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
