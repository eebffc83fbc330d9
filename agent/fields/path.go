package fields

import (
	"encoding/json"
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"headgate.dev/render/object"
)

// printPath writes a path as people do.
func printPath(path fieldpath.Path) string {
	var b strings.Builder
	for _, e := range path {
		printElement(&b, e)
	}
	return b.String()
}

func printElement(b *strings.Builder, e fieldpath.PathElement) {
	switch {
	case e.FieldName != nil && plainName(*e.FieldName):
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(*e.FieldName)
	case e.FieldName != nil:
		b.WriteString("[" + quoted(*e.FieldName) + "]")
	case e.Key != nil:
		b.WriteByte('[')
		for i, field := range *e.Key {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(field.Name + "=" + word(field.Value))
		}
		b.WriteByte(']')
	case e.Value != nil:
		b.WriteString("[=" + word(*e.Value) + "]")
	case e.Index != nil:
		b.WriteString("[" + strconv.Itoa(*e.Index) + "]")
	}
}

// word writes a key's value, in quotes where it could be taken for something else.
func word(v value.Value) string {
	s, ok := v.Unstructured().(string)
	if !ok {
		return value.ToString(v)
	}
	if s == "" || strings.ContainsAny(s, "[],=\" \t\n") || json.Valid([]byte(s)) {
		return quoted(s)
	}
	return s
}

func quoted(s string) string { return string(object.AppendJSON(nil, s)) }

// plainName tells whether a name needs no quotes.
func plainName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-') {
			return false
		}
	}
	return s != ""
}

// step goes one element into a value, and says which token of an RFC 6901 pointer that is. A key that an item does not say (because a default
// is yet to be filled in) fits.
func step(v any, e fieldpath.PathElement) (inner any, token string, ok bool) {
	if e.FieldName != nil {
		m, _ := v.(map[string]any)
		inner, ok = m[*e.FieldName]
		return inner, strings.ReplaceAll(strings.ReplaceAll(*e.FieldName, "~", "~0"), "/", "~1"), ok
	}
	items, _ := v.([]any)
	for i, item := range items {
		if itemIs(item, i, e) {
			return item, strconv.Itoa(i), true
		}
	}
	return nil, "", false
}

func itemIs(item any, i int, e fieldpath.PathElement) bool {
	switch {
	case e.Index != nil:
		return *e.Index == i
	case e.Value != nil:
		return value.Equals(value.NewValueInterface(item), *e.Value)
	case e.Key == nil:
		return false
	}
	m, isMap := item.(map[string]any)
	if !isMap {
		return false
	}
	said := 0
	for _, field := range *e.Key {
		v, has := m[field.Name]
		if has && !value.Equals(value.NewValueInterface(v), field.Value) {
			return false
		}
		if has {
			said++
		}
	}
	return said > 0
}

// pointer gives the RFC 6901 pointer of a path in a content; not ok when the content has no such field.
func pointer(content any, path fieldpath.Path) (string, bool) {
	var b strings.Builder
	for _, e := range path {
		inner, token, ok := step(content, e)
		if !ok {
			return "", false
		}
		b.WriteString("/" + token)
		content = inner
	}
	return b.String(), true
}

// serverPath reads a path as the API server's messages have it: .spec.containers[name="http"].env. Names with dots in them are not quoted
// there, so it is read with the object that it is about. Not ok when it does not lead anywhere.
func serverPath(s string, content any) (fieldpath.Path, bool) {
	if s == "" {
		return nil, true
	}
	switch at := content.(type) {
	case map[string]any:
		return serverField(s, at)
	case []any:
		return serverItem(s, at)
	}
	return nil, false
}

func serverField(s string, at map[string]any) (fieldpath.Path, bool) {
	if s[0] != '.' {
		return nil, false
	}
	best := ""
	for name := range at {
		rest, ok := strings.CutPrefix(s[1:], name)
		if ok && (rest == "" || rest[0] == '.' || rest[0] == '[') && len(name) > len(best) {
			best = name
		}
	}
	if best == "" {
		return nil, false
	}
	rest, ok := serverPath(s[1+len(best):], at[best])
	return append(fieldpath.Path{fieldpath.FieldNameElement(best)}, rest...), ok
}

func serverItem(s string, at []any) (fieldpath.Path, bool) {
	for _, item := range at {
		for _, e := range elementsOf(s, item) {
			rest, ok := strings.CutPrefix(s, e.String())
			if !ok {
				continue
			}
			path, ok := serverPath(rest, item)
			return append(fieldpath.Path{e}, path...), ok
		}
	}
	return nil, false
}

// elementsOf gives what a message may call an item: its value, or the keys that stand at the beginning of s with the values of the item.
func elementsOf(s string, item any) []fieldpath.PathElement {
	m, isMap := item.(map[string]any)
	if !isMap {
		return []fieldpath.PathElement{fieldpath.ValueElement(value.NewValueInterface(item))}
	}
	var fields []any
	for _, name := range keyNames(s) {
		v, has := m[name]
		if !has {
			return nil
		}
		fields = append(fields, name, v)
	}
	if len(fields) == 0 {
		return nil
	}
	return []fieldpath.PathElement{fieldpath.KeyElementByFields(fields...)}
}

// keyNames reads the names of [a="x",b=1], without looking at the values further than to where they end.
func keyNames(s string) []string {
	var out []string
	rest, ok := strings.CutPrefix(s, "[")
	for ok {
		name, after, found := strings.Cut(rest, "=")
		if !found || name == "" {
			return nil
		}
		out = append(out, name)
		end := strings.IndexAny(after, ",]")
		if strings.HasPrefix(after, `"`) {
			prefix, err := strconv.QuotedPrefix(after)
			if err != nil {
				return nil
			}
			end = len(prefix)
		}
		if end < 0 || end >= len(after) {
			return nil
		}
		ok = after[end] == ','
		rest = after[end+1:]
	}
	return out
}

// show writes a value for people.
func show(v any, there bool) string {
	if !there {
		return "(none)"
	}
	return string(appendJSON(v))
}
