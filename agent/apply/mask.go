package apply

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"headgate.dev/render/object"
)

// masked stands where a secret value would. It has one length, whatever it hides.
const masked = "*****"

// masker takes secret values out of what an API server says. It is constant once made.
type masker struct{ values []string }

// longEnough is how long a value of a Secret is that is hidden in what is said about other objects too: shorter ones are words.
const longEnough = 8

// newMasker makes a masker of values that are secret in every object, in any order, and of the values of the Secrets among the objects.
func newMasker(values []string, objects *object.Set) masker {
	var m masker
	for _, v := range values {
		m.values = append(m.values, forms(v)...)
	}
	for o := range objects.All() {
		if !isSecret(o) {
			continue
		}
		for _, v := range secretValues(o) {
			if len(v) >= longEnough {
				m.values = append(m.values, v)
			}
		}
	}
	return m.sorted()
}

// forms are the ways in which a value may stand in a message.
func forms(value string) []string {
	if value == "" {
		return nil
	}
	out := []string{value, base64.StdEncoding.EncodeToString([]byte(value))}
	if trimmed := strings.TrimSpace(value); trimmed != value && trimmed != "" {
		out = append(out, trimmed)
	}
	return out
}

// sorted brings the longest value to the front, so that none is hidden in part because another is inside it.
func (m masker) sorted() masker {
	slices.SortFunc(m.values, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	m.values = slices.Compact(m.values)
	return m
}

// quoted are the parts of a message that may be values. A webhook's name is none.
var quoted = regexp.MustCompile(`(webhook )?"(?:[^"\\]|\\.)*"` + "|`[^`]*`")

// text gives a message without secrets. Of a Secret everything in quotes that is not its own name is hidden too: an API server may quote a part of a
// value, or a value in another form.
func (m masker) text(message string, o *object.Object) string {
	if o == nil || !isSecret(o) {
		return m.replace(message)
	}
	own := masker{values: slices.Concat(m.values, secretValues(o))}.sorted()
	message = own.replace(message)
	return quoted.ReplaceAllStringFunc(message, func(q string) string {
		if strings.HasPrefix(q, "webhook ") {
			return q
		}
		switch strings.Trim(q, "\"`") {
		case o.ID.Name, o.ID.Namespace, o.ID.Kind, o.Version, masked:
			return q
		}
		return masked
	})
}

func (m masker) replace(message string) string {
	for _, v := range m.values {
		if len(v) < 3 { // it would be found everywhere
			message = strings.ReplaceAll(message, `"`+v+`"`, masked)
			continue
		}
		message = strings.ReplaceAll(message, v, masked)
	}
	return message
}

func isSecret(o *object.Object) bool { return o.ID.Group == "" && o.ID.Kind == "Secret" }

// secretValues gives the values of a Secret in every form.
func secretValues(o *object.Object) []string {
	var out []string
	for _, key := range []string{"data", "stringData"} {
		values, _ := o.Content[key].(map[string]any)
		for _, v := range values {
			text, ok := v.(string)
			if !ok {
				text = string(object.AppendJSON(nil, v))
			}
			out = append(out, forms(text)...)
			if plain, err := base64.StdEncoding.DecodeString(text); err == nil && key == "data" {
				out = append(out, forms(string(plain))...)
			}
		}
	}
	return out
}
