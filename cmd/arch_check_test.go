package cmd_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func repeat(s string, n int) string { return strings.Repeat(s, n) }

// pkg is what the rules look at: the Go files of one directory, for every system, whatever their build constraints.
type pkg struct {
	path        string   // below the module
	imports     []string // of the program
	testImports []string
	uses        []string // "time.Now", for every name of package time that is used
	goroutines  []string // where one is started: "file:line"
	files       int      // that are part of the program
	lines       int      // of code
}

// load reads the packages of the module at root; modules below it and what Go ignores are not among them.
func load(root string) ([]pkg, error) {
	byPath := map[string]*pkg{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(root, name, entry.Name())
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(relative)
		if byPath[dir] == nil {
			byPath[dir] = &pkg{path: dir}
		}
		return byPath[dir].add(name, source, strings.HasSuffix(name, "_test.go"))
	})
	packages := make([]pkg, 0, len(byPath))
	for _, p := range byPath {
		packages = append(packages, *p)
	}
	slices.SortFunc(packages, func(a, b pkg) int { return strings.Compare(a.path, b.path) })
	return packages, err
}

func enter(root, name, base string) error {
	if name == root {
		return nil
	}
	if base == "testdata" || base == "bin" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// add takes one file into the package.
func (p *pkg) add(name string, source []byte, isTest bool) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	timeName := ""
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", files.Position(spec.Pos()), err)
		}
		if isTest {
			p.testImports = append(p.testImports, imported)
			continue
		}
		p.imports = append(p.imports, imported)
		if imported == "time" {
			timeName = "time"
			if spec.Name != nil {
				timeName = spec.Name.Name
			}
		}
	}
	if isTest {
		return nil
	}
	p.files++
	if !ast.IsGenerated(file) {
		p.lines += codeLines(source)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			p.goroutines = append(p.goroutines, files.Position(n.Pos()).String())
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName {
				p.uses = append(p.uses, "time."+n.Sel.Name)
			}
		}
		return true
	})
	return nil
}

// codeLines counts the lines that hold more than a comment.
func codeLines(source []byte) int {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0)
	lines := map[int]bool{}
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		if tok == token.SEMICOLON && literal == "\n" {
			continue // put in by the scanner, where the line ends
		}
		first := file.Line(pos)
		for i := range 1 + strings.Count(literal, "\n") {
			lines[first+i] = true
		}
	}
}

// check says what is wrong with a package: which rule, and why there is one.
func check(p pkg) []string {
	var problems []string
	report := func(format string, args ...any) {
		problems = append(problems, p.path+" "+fmt.Sprintf(format, args...))
	}
	for _, imported := range unique(p.testImports) {
		if ours, ok := own(imported); ok && otherHalf(p.path, ours) {
			report("may not import %s, not even in a test: agent and proxy meet in cmd", ours)
		}
	}
	if p.files == 0 {
		return problems
	}
	r, ok := rowOf(p.path)
	if !ok {
		report("has no row in cmd/arch_test.go: add one that says what it may import, and why")
		return problems
	}
	for _, imported := range unique(p.imports) {
		if ours, ok := own(imported); ok && !mayImport(r, ours) {
			report("may not import %s: %s", ours, r.why)
		}
		if l, ok := libraryOf(imported); ok && !matchesAny(l.importers, r, p.path) {
			report("may not import %s: %s", imported, l.why)
		}
		if why, ok := impureImport(imported); ok && r.isPure(imported) {
			report("is pure and imports %s: %s", imported, why)
		}
	}
	if r.isPure("") {
		for _, use := range unique(p.uses) {
			if why, ok := impure[use]; ok {
				report("is pure and uses %s: %s", use, why)
			}
		}
		for _, where := range p.goroutines {
			report("is pure and starts a goroutine at %s: the driver decides what runs beside what", where)
		}
	}
	if p.lines > maxPackageLines {
		report("has %d lines of code, more than %d: it is two packages", p.lines, maxPackageLines)
	}
	return problems
}

// isPure tells whether the row forbids what pure packages do not do; a lock is the exception of one kind.
func (r row) isPure(imported string) bool {
	return r.kind == pure || r.kind == lock && imported != "sync"
}

func unique(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// own gives the path below the module.
func own(imported string) (string, bool) {
	return strings.CutPrefix(imported, module+"/")
}

func otherHalf(from, to string) bool {
	return matches("agent/...", from) && matches("proxy/...", to) || matches("proxy/...", from) && matches("agent/...", to)
}

// rowOf finds the row of a package: its own; for what is internal, that of the package around it; and for what has many
// small packages that are all alike (cmd, deploy), the one row.
func rowOf(p string) (row, bool) {
	for p != "." {
		for _, r := range table {
			if r.path == p {
				return r, true
			}
		}
		parent := path.Dir(p)
		if before, _, ok := strings.Cut(p+"/", "/internal/"); ok {
			parent = before
		} else if !matches("cmd/...", p) && !matches("deploy/...", p) {
			return row{}, false
		}
		p = parent
	}
	return row{}, false
}

// mayImport tells whether a package of the row may import one of ours: what the row lists, and what is internal to it.
func mayImport(r row, ours string) bool {
	if matches(r.path+"/internal/...", ours) || matches("cmd/...", r.path) {
		return true
	}
	if strings.Contains(ours, "/internal/") {
		return false
	}
	return slices.ContainsFunc(r.imports, func(pattern string) bool { return matches(pattern, ours) })
}

func libraryOf(imported string) (sole, bool) {
	i := slices.IndexFunc(libraries, func(l sole) bool {
		// Of gopkg.in the version is part of the element: gopkg.in/yaml.v3.
		return matches(l.prefix+"/...", imported) || strings.HasPrefix(imported, l.prefix+".")
	})
	if i < 0 {
		return sole{}, false
	}
	return libraries[i], true
}

func impureImport(imported string) (why string, ok bool) {
	if why, ok = impure[imported]; ok {
		return why, ok
	}
	for prefix, why := range impure {
		if strings.Contains(prefix, ".org/") && matches(prefix+"/...", imported) {
			return why, true
		}
	}
	return "", false
}

func matchesAny(patterns []string, r row, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, p) || matches(pattern, r.path) })
}

func matchesSome(pattern string, paths map[string]bool) bool {
	for p := range paths {
		if matches(pattern, p) {
			return true
		}
	}
	return false
}

// matches knows "x", "x/..." (x and all below) and "..." (everything).
func matches(pattern, p string) bool {
	if pattern == "..." || pattern == p {
		return true
	}
	base, below := strings.CutSuffix(pattern, "/...")
	return below && (p == base || strings.HasPrefix(p, base+"/"))
}

func checkTopLevel(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, e := range entries {
		if _, ok := topLevel[e.Name()]; !ok && !strings.HasPrefix(e.Name(), ".") {
			problems = append(problems, e.Name()+" is no part of the top level: see topLevel in cmd/arch_test.go")
		}
	}
	return problems, nil
}
