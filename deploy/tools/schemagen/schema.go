package main

import (
	"fmt"
	"maps"

	"go.yaml.in/yaml/v3"
)

// generator makes the outputs; problems are fields it does not understand.
type generator struct {
	types    map[string]structType
	problems []string
}

func (g *generator) problemf(format string, args ...any) {
	g.problems = append(g.problems, fmt.Sprintf(format, args...))
}

// document is the schema of one kind.
func (g *generator) document(kind, spec, file string) object {
	defs := object{}
	root := g.root(kind, spec, defs)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = baseURL + file + ".schema.json"
	root["title"] = kind
	root["$defs"] = defs
	return root
}

// root describes a whole document of a kind and puts the types it needs into defs.
func (g *generator) root(kind, spec string, defs object) object {
	return object{
		"type":                 "object",
		"description":          g.types[kind].doc,
		"required":             []any{"apiVersion", "kind", "metadata", "spec"},
		"additionalProperties": false,
		"properties": object{
			"apiVersion": object{"const": apiVersion},
			"kind":       object{"const": kind},
			"metadata":   g.ref("Metadata", defs),
			"spec":       g.ref(spec, defs),
		},
	}
}

// combined takes documents of every kind and lets those of other API versions pass, so that an editor can use it for
// every file of a repository.
func (g *generator) combined() object {
	defs := object{}
	var names, choices []any
	for _, k := range kinds {
		defs[k.kind] = g.root(k.kind, k.spec, defs)
		names = append(names, k.kind)
		choices = append(choices, object{
			"if":   object{"properties": object{"kind": object{"const": k.kind}}},
			"then": object{"$ref": "#/$defs/" + k.kind},
		})
	}
	return object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"$id":         baseURL + "headgate.schema.json",
		"title":       "headgate",
		"description": "The files headgate expands into Gateway API objects.",
		"type":        "object",
		"if":          object{"properties": object{"apiVersion": object{"const": apiVersion}}, "required": []any{"apiVersion"}},
		"then": object{
			"required":   []any{"kind"},
			"properties": object{"kind": object{"enum": names}},
			"allOf":      choices,
		},
		"$defs": defs,
	}
}

// ref gives a reference to a struct and sees to it that it is among the defs.
func (g *generator) ref(name string, defs object) object {
	if _, done := defs[name]; !done {
		defs[name] = object{} // stands for it while it is made
		defs[name] = g.structSchema(name, defs)
	}
	return object{"$ref": "#/$defs/" + name}
}

func (g *generator) structSchema(name string, defs object) object {
	t, known := g.types[name]
	if !known {
		g.problemf("the type %s is neither a struct nor has a form", name)
		return object{}
	}
	properties := object{}
	var required []any
	for _, f := range t.fields {
		properties[f.name] = g.fieldSchema(name, f, defs)
		if f.doc.required {
			required = append(required, f.name)
		}
	}
	out := object{"type": "object", "description": t.doc, "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	maps.Copy(out, together[name])
	return out
}

// fieldSchema describes a field: its type, in all forms, and its documentation.
func (g *generator) fieldSchema(owner string, f structField, defs object) object {
	key := owner + "." + f.goName
	item := g.typeSchema(f.typeName, defs)
	out := item
	if f.list {
		list := listOf(item)
		for name, limit := range limits[key] {
			if name == "maxItems" {
				list[name] = limit
			}
		}
		out = list
		if oneOrList[key] {
			out = anyOf(item, list)
		}
	} else if _, plain := item["$ref"]; len(limits[key]) > 0 && !plain {
		out = maps.Clone(item)
		maps.Copy(out, limits[key])
	}
	if weighted[key] {
		weights := mapOf(forms["Weight"].schema, object{"pattern": service})
		weights["maxProperties"] = limits[key]["maxProperties"]
		out = anyOf(weights, out)
	}
	out = maps.Clone(out)
	out["description"] = f.doc.meaning
	if f.doc.limits != "" {
		out["description"] = f.doc.meaning + "\n\nLimits: " + f.doc.limits
	}
	if f.doc.standard != "" {
		out["description"] = out["description"].(string) + "\n\nDefault: " + f.doc.standard
	}
	if f.doc.example != "" {
		var example any
		if err := yaml.Unmarshal([]byte(f.doc.example), &example); err != nil {
			g.problemf("the example of %s: %v", key, err)
		}
		out["examples"] = []any{example}
	}
	return out
}

// typeSchema describes a type in its short and long forms.
func (g *generator) typeSchema(name string, defs object) object {
	if f, ok := forms[name]; ok {
		return f.schema
	}
	long := g.ref(name, defs)
	if s, ok := short[name]; ok {
		return anyOf(s, long)
	}
	return long
}
