package admit

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// report gathers what is wrong with an object.
type report struct {
	object *object.Object
	kind   *kind
	errs   schema.Errors
}

// add reports a message about the field at a pointer. It names the object: what a spec expanded to is not in the file.
func (r *report) add(pointer, message string) {
	r.errs = append(r.errs, &schema.Error{
		Position: r.object.OriginOf(pointer), Field: schema.FieldPath(pointer), Message: r.object.ID.String() + ": " + message,
	})
}

func (r *report) fields(errs field.ErrorList) {
	for _, err := range errs {
		path, text := err.Field, message(err)
		if path == (*field.Path)(nil).String() {
			path = "" // of the whole object, or of a field that only the text names
			if i := strings.LastIndex(text, " in "); i >= 0 {
				text, path = text[:i], text[i+len(" in "):]
			}
		}
		r.add(pointerTo(r.object.Content, path), text)
	}
}

func (r *report) unknown(paths []string) {
	for _, path := range paths {
		pointer := pointerTo(r.object.Content, path)
		text := "unknown field"
		if known := r.kind.known(pointer); len(known) > 0 {
			text += "; known here: " + strings.Join(known, ", ")
		}
		r.add(pointer, text)
	}
}

// known gives the names of the fields beside the one at a pointer.
func (k *kind) known(pointer string) []string {
	s := k.structural
	tokens := strings.Split(pointer, "/")
	for _, token := range tokens[1 : len(tokens)-1] {
		switch property, ok := s.Properties[token]; {
		case ok:
			s = &property
		case s.Items != nil:
			s = s.Items
		default:
			return nil
		}
	}
	return slices.Sorted(maps.Keys(s.Properties))
}

// pointerTo gives the pointer for a path as the server writes it: "spec.rules[0].matches[1].path". A key of a map is
// written there after a point or in brackets, whatever is in it; the content tells which.
func pointerTo(content any, path string) string {
	var b strings.Builder
	for path != "" {
		var token string
		token, path = cut(content, path)
		if token == "" {
			continue
		}
		b.WriteByte('/')
		b.WriteString(schema.EscapePointer(token))
		switch value := content.(type) {
		case map[string]any:
			content = value[token]
		case []any:
			content = nil
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(value) {
				content = value[i]
			}
		default:
			content = nil
		}
	}
	return b.String()
}

// cut takes the first token off a path.
func cut(content any, path string) (token, rest string) {
	bracket := path[0] == '['
	path = strings.TrimPrefix(strings.TrimPrefix(path, "["), ".")
	if m, ok := content.(map[string]any); ok {
		for key := range m {
			if len(key) > len(token) && strings.HasPrefix(path, key) && ends(path[len(key):], bracket) {
				token = key
			}
		}
	}
	if token == "" {
		end := strings.IndexAny(path, ".[]")
		if end < 0 {
			end = len(path)
		}
		token = path[:end]
	}
	rest = path[len(token):]
	if bracket {
		rest = strings.TrimPrefix(rest, "]")
	}
	return token, rest
}

// ends tells whether a token may end before rest.
func ends(rest string, bracket bool) bool {
	if bracket {
		return strings.HasPrefix(rest, "]")
	}
	return rest == "" || rest[0] == '.' || rest[0] == '['
}

// message says what was found and what was expected.
func message(err *field.Error) string {
	detail := err.Detail
	if _, after, ok := strings.Cut(detail, " in body "); ok {
		detail = after // the path is said already
	}
	switch err.Type {
	case field.ErrorTypeRequired:
		if detail == "" {
			return "is missing"
		}
		return "is missing: " + detail
	case field.ErrorTypeNotSupported:
		return fmt.Sprintf("%s is not possible; %s", quote(err.BadValue), detail)
	case field.ErrorTypeTooMany:
		return fmt.Sprintf("has %v items; %s", err.BadValue, detail)
	case field.ErrorTypeDuplicate:
		return fmt.Sprintf("%s is here a second time; it must be unique in the list", quote(err.BadValue))
	case field.ErrorTypeTypeInvalid:
		detail = strings.ReplaceAll(strings.TrimPrefix(detail, "must be of type "), `"`, "")
		return "expected " + strings.Replace(detail, ": ", ", not ", 1)
	}
	if value := quote(err.BadValue); err.BadValue != "" && value != "" && err.Type == field.ErrorTypeInvalid {
		if strings.HasPrefix(detail, "should ") {
			return value + " " + detail
		}
		return value + ": " + detail
	}
	return detail
}

// quote writes a value shortly; it is empty for what has none.
func quote(value any) string {
	switch value := value.(type) {
	case nil, field.OmitValueType, []any:
		return ""
	case map[string]any:
		parts := make([]string, 0, len(value))
		for _, key := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, key+" "+quote(value[key]))
		}
		return strings.Join(parts, " and ")
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	const most = 80
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}
