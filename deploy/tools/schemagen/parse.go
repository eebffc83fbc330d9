package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// structType is a struct of package schema whose fields have JSON names.
type structType struct {
	doc    string
	of     string // the struct it is made of, if it has no fields of its own
	fields []structField
}

// structField is one field as users write it.
type structField struct {
	name     string // as users write it
	goName   string
	typeName string // the Go type without "*" and "[]"
	list     bool
	doc      comment
}

// comment is a doc comment taken apart.
type comment struct {
	meaning                            string
	required                           bool
	standard, limits, example, becomes string
}

// parse reads the structs of a package.
func parse(dir string) (map[string]structType, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	types := map[string]structType{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("reading the types: %w", err)
		}
		for _, decl := range file.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				addTypes(types, g)
			}
		}
	}
	for name, t := range types {
		if t.of == "" {
			continue
		}
		for _, f := range types[t.of].fields {
			if !slices.Contains(lacks[name], f.name) {
				t.fields = append(t.fields, f)
			}
		}
		types[name] = t
	}
	return types, nil
}

func addTypes(types map[string]structType, g *ast.GenDecl) {
	for _, spec := range g.Specs {
		t := spec.(*ast.TypeSpec)
		if of, ok := t.Type.(*ast.Ident); ok && lacks[t.Name.Name] != nil {
			types[t.Name.Name] = structType{doc: oneLine(g.Doc.Text()), of: of.Name}
		}
		s, ok := t.Type.(*ast.StructType)
		if !ok || isResource(g.Doc.Text()) {
			continue
		}
		out := structType{doc: oneLine(g.Doc.Text())}
		for _, f := range s.Fields.List {
			if field, ok := parseField(f); ok {
				out.fields = append(out.fields, field)
			}
		}
		if len(out.fields) > 0 {
			types[t.Name.Name] = out
		}
	}
}

func parseField(f *ast.Field) (structField, bool) {
	if f.Tag == nil || len(f.Names) != 1 {
		return structField{}, false
	}
	tag, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return structField{}, false
	}
	name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	if name == "" {
		return structField{}, false
	}
	out := structField{name: name, goName: f.Names[0].Name, doc: parseComment(f.Doc.Text(), f.Names[0].Name, name)}
	expr := f.Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
			continue
		case *ast.ArrayType:
			out.list, expr = true, e.Elt
			continue
		case *ast.MapType:
			out.typeName = "map[string]string"
		case *ast.Ident:
			out.typeName = e.Name
		}
		return out, true
	}
}

// parseComment takes the lines at the end of a field's comment apart and calls the field by the name users write.
func parseComment(text, goName, name string) comment {
	var c comment
	into := &c.meaning
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "Required." {
			c.required = true
			continue
		}
		for prefix, field := range map[string]*string{
			"Default: ": &c.standard, "Limits: ": &c.limits, "Example: ": &c.example, "Becomes: ": &c.becomes,
		} {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				into, line = field, rest
				break
			}
		}
		*into = strings.TrimSpace(*into + " " + line)
	}
	if rest, ok := strings.CutPrefix(c.meaning, goName+" "); ok {
		c.meaning = name + " " + rest
	}
	return c
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
