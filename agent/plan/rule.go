package plan

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"headgate.dev/render/object"
)

// Rule leaves fields of some objects to others: the fields get the wanted value when the object is made, and keep what they have after
// that (Yield).
type Rule struct {
	Target Selector
	// Fields are RFC 6901 pointers, valid ones (CheckPointer).
	Fields []string
	// Weights are those of the backends of routes.
	Weights bool
}

// Selector says which objects a rule is for: those to which every field fits that is not empty.
type Selector struct {
	// Group is the API group; CoreGroup for the one without a name.
	Group, Kind, Namespace string
	// Name may have "*" in it, which stands for any characters.
	Name string
	// Labels that the wanted object has.
	Labels map[string]string
}

// CoreGroup is how a Selector names the API group without a name.
const CoreGroup = "core"

// Selects tells whether the rule is for an object.
func (s Selector) Selects(o *object.Object) bool {
	group := o.ID.Group
	if group == "" {
		group = CoreGroup
	}
	if !fits(s.Group, group) || !fits(s.Kind, o.ID.Kind) || !fits(s.Namespace, o.ID.Namespace) || s.Name != "" && !Glob(s.Name, o.ID.Name) {
		return false
	}
	metadata, _ := o.Content["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	for key, want := range s.Labels {
		if got, ok := labels[key].(string); !ok || got != want {
			return false
		}
	}
	return true
}

func fits(want, got string) bool { return want == "" || want == got }

// Glob tells whether a name is what a pattern stands for, in which "*" is any characters. It costs at most the product of both lengths.
func Glob(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], more
	}
}

// selected gives the rules that are for an object.
func selected(o *object.Object, rules []Rule) []Rule {
	var out []Rule
	for _, r := range rules {
		if r.Target.Selects(o) {
			out = append(out, r)
		}
	}
	return out
}

// Left tells whether rules leave the field of an object to others. The pointer is in the wanted object.
func Left(o *object.Object, rules []Rule, pointer string) bool {
	for _, r := range selected(o, rules) {
		for _, field := range r.Fields {
			if pointer == field || strings.HasPrefix(pointer, field+"/") {
				return true
			}
		}
		if r.Weights && isWeight(o.ID, pointer) {
			return true
		}
	}
	return false
}

// isWeight tells whether a pointer is that of the weight of a route's backend.
func isWeight(id object.ID, pointer string) bool {
	tokens := strings.Split(pointer, "/")
	return id.Group == gatewayGroup && slices.Contains(weighted, id.Kind) && len(tokens) == 7 &&
		tokens[1] == "spec" && tokens[2] == "rules" && tokens[4] == "backendRefs" && tokens[6] == "weight"
}

// Key is the digest of all that decides what an apply writes: the object, and the rules that leave fields of it to others. An object that
// no rule is for has its own digest as key.
func Key(o *object.Object, rules []Rule) object.Digest {
	rules = selected(o, rules)
	if len(rules) == 0 {
		return o.Digest
	}
	buf := append([]byte(nil), o.Digest[:]...)
	for _, r := range rules {
		fields := make([]any, len(r.Fields))
		for i, f := range r.Fields {
			fields[i] = f
		}
		buf = object.AppendJSON(buf, []any{fields, r.Weights})
	}
	sum := sha256.Sum256(buf)
	return object.Digest(sum[:len(o.Digest)])
}

// CheckPointer says what is wrong with a pointer that a rule is to have.
func CheckPointer(pointer string) error {
	if !strings.HasPrefix(pointer, "/") {
		return fmt.Errorf("reading pointer %q: it does not begin with a slash", pointer)
	}
	rest := pointer
	for {
		_, after, found := strings.Cut(rest, "~")
		if !found {
			break
		}
		if after == "" || after[0] != '0' && after[0] != '1' {
			return fmt.Errorf("reading pointer %q: a ~ is written ~0, a slash in a name ~1", pointer)
		}
		rest = after
	}
	for _, prefix := range identity {
		if pointer == prefix || strings.HasPrefix(prefix, pointer+"/") {
			return fmt.Errorf("reading pointer %q: which object it is cannot be left to others", pointer)
		}
	}
	return nil
}

// identity are the fields that say which object it is and whose.
var identity = []string{
	"/apiVersion", "/kind", "/metadata/name", "/metadata/namespace",
	"/metadata/labels/headgate.dev~1sync", "/metadata/labels/headgate.dev~1sync-namespace", "/metadata/annotations/headgate.dev~1applied",
}
