package plan

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"headgate.dev/render/object"
)

// Yielded is a field that was left to others.
type Yielded struct {
	// Pointer is the RFC 6901 pointer in what is applied.
	Pointer string
	// Wanted is Git's value, Live the one that is applied instead. Nil where there is none.
	Wanted, Live any
}

// Yield gives the content to apply for an object of which others have some fields: the wanted content with the live values of the fields
// that rules name. What it takes over from live is applied with the live object's resource version, so that a value which
// changed in the meantime is not put back.
//
// Where the live object lacks such a field, so does what is applied. Without a live object (nil) everything is as wanted: it is
// about to be made. The content is the object's own when nothing differs, and shares with it and with live what is the same.
// Yielded is sorted by pointer.
func Yield(o *object.Object, live map[string]any, rules []Rule) (map[string]any, []Yielded) {
	if live == nil {
		return o.Content, nil
	}
	y := yielding{content: o.Content}
	for _, r := range selected(o, rules) {
		for _, pointer := range r.Fields {
			y.field(pointer, live)
		}
		if r.Weights {
			y.weights(o.ID, live)
		}
	}
	slices.SortFunc(y.done, func(a, b Yielded) int { return strings.Compare(a.Pointer, b.Pointer) })
	return y.content, slices.CompactFunc(y.done, func(a, b Yielded) bool { return a.Pointer == b.Pointer })
}

// yielding is one call of Yield.
type yielding struct {
	content map[string]any
	done    []Yielded
}

// field takes one field over from live.
func (y *yielding) field(pointer string, live map[string]any) {
	if CheckPointer(pointer) != nil {
		return
	}
	tokens := tokensOf(pointer)
	wanted, isWanted := lookUp(y.content, tokens)
	value, isLive := lookUp(live, tokens)
	if isWanted == isLive && (!isWanted || same(wanted, value)) {
		return
	}
	changed, ok := put(y.content, tokens, value, isLive)
	if !ok {
		return
	}
	y.content = changed.(map[string]any)
	y.done = append(y.done, Yielded{Pointer: pointer, Wanted: wanted, Live: value})
}

func tokensOf(pointer string) []string {
	tokens := strings.Split(pointer[1:], "/")
	for i, t := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens
}

// LookUp gives the value at an RFC 6901 pointer, and whether there is one.
func LookUp(content map[string]any, pointer string) (any, bool) {
	if pointer == "" {
		return content, true
	}
	return lookUp(content, tokensOf(pointer))
}

func lookUp(v any, tokens []string) (any, bool) {
	for _, token := range tokens {
		switch at := v.(type) {
		case map[string]any:
			inner, ok := at[token]
			if !ok {
				return nil, false
			}
			v = inner
		case []any:
			i, ok := index(token, len(at))
			if !ok {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// index reads a pointer's token for a list of n items.
func index(token string, n int) (int, bool) {
	i, err := strconv.Atoi(token)
	return i, err == nil && i >= 0 && i < n && strconv.Itoa(i) == token
}

// put gives a copy of v with another value at tokens, or without one; only what is on the way is copied. Maps on the way to a value are
// made; a list is neither made nor does it become longer or shorter, and false says that it would.
func put(v any, tokens []string, value any, isThere bool) (any, bool) {
	if len(tokens) == 0 {
		return value, true
	}
	switch at := v.(type) {
	case map[string]any:
		return putInMap(at, tokens, value, isThere)
	case []any:
		i, ok := index(tokens[0], len(at))
		if !ok || len(tokens) == 1 && !isThere {
			return nil, false
		}
		inner, ok := put(at[i], tokens[1:], value, isThere)
		if !ok {
			return nil, false
		}
		out := slices.Clone(at)
		out[i] = inner
		return out, true
	default:
		return nil, false
	}
}

func putInMap(at map[string]any, tokens []string, value any, isThere bool) (any, bool) {
	out := shallow(at)
	if len(tokens) == 1 && !isThere {
		delete(out, tokens[0])
		return out, true
	}
	inner, has := at[tokens[0]]
	if !has {
		if !isThere {
			return at, true
		}
		inner = map[string]any{}
	}
	inner, ok := put(inner, tokens[1:], value, isThere)
	if !ok {
		return nil, false
	}
	out[tokens[0]] = inner
	return out, true
}

// same tells whether two JSON values are the same to whoever reads them.
func same(a, b any) bool {
	return string(object.AppendJSON(nil, a)) == string(object.AppendJSON(nil, b))
}

// weighted are the kinds with weights in spec.rules[].backendRefs[].
var weighted = []string{"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"}

// weights takes the weights of backends over from live. Rules belong together by their names, and where they have none by their matches: a
// rule that was moved keeps its weights, one whose place another took does not get that one's. Backends belong together by what they refer to.
func (y *yielding) weights(id object.ID, live map[string]any) {
	if id.Group != gatewayGroup || !slices.Contains(weighted, id.Kind) {
		return
	}
	rules, _ := lookUp(y.content, []string{"spec", "rules"})
	wanted, _ := rules.([]any)
	liveRules, _ := lookUp(live, []string{"spec", "rules"})
	byIdentity := unique(liveRules, ruleIdentity)
	twice := unique(rules, ruleIdentity)
	for i, rule := range wanted {
		identity := ruleIdentity(rule)
		if twice[identity] == nil || byIdentity[identity] == nil {
			continue
		}
		y.ruleWeights(i, rule, byIdentity[identity])
	}
}

func (y *yielding) ruleWeights(i int, rule, liveRule any) {
	refs, _ := lookUp(rule, []string{"backendRefs"})
	liveRefs, _ := lookUp(liveRule, []string{"backendRefs"})
	byIdentity := unique(liveRefs, backendIdentity)
	twice := unique(refs, backendIdentity)
	list, _ := refs.([]any)
	for j, ref := range list {
		identity := backendIdentity(ref)
		if twice[identity] == nil || byIdentity[identity] == nil {
			continue
		}
		wanted, live := weightOf(ref), weightOf(byIdentity[identity])
		if same(wanted, live) {
			continue
		}
		tokens := []string{"spec", "rules", strconv.Itoa(i), "backendRefs", strconv.Itoa(j), "weight"}
		if changed, ok := put(y.content, tokens, live, true); ok {
			y.content = changed.(map[string]any)
			y.done = append(y.done, Yielded{Pointer: "/" + strings.Join(tokens, "/"), Wanted: wanted, Live: live})
		}
	}
}

// unique gives the items of a list by what they are, without those that there are several of.
func unique(list any, identity func(any) string) map[string]any {
	items, _ := list.([]any)
	out := make(map[string]any, len(items))
	for _, item := range items {
		key := identity(item)
		if _, twice := out[key]; twice || key == "" {
			item = nil
		}
		out[key] = item
	}
	return out
}

// ruleIdentity is the name of a rule, else its matches without what the API server adds to them. Rules without matches are one.
func ruleIdentity(rule any) string {
	m, ok := rule.(map[string]any)
	if !ok {
		return ""
	}
	if name, _ := m["name"].(string); name != "" {
		return "name " + name
	}
	matches, _ := m["matches"].([]any)
	if len(matches) == 0 {
		matches = []any{map[string]any{}}
	}
	out := make([]any, len(matches))
	for i, match := range matches {
		out[i] = defaulted(match)
	}
	return "matches " + string(object.AppendJSON(nil, out))
}

// defaulted gives a match with the defaults that Gateway API has for it, so that one that was written short is the one that is live.
func defaulted(match any) any {
	m, ok := match.(map[string]any)
	if !ok {
		return match
	}
	m = shallow(m)
	if _, grpc := m["method"].(map[string]any); grpc {
		m["method"] = withDefault(m["method"], "type", "Exact")
	} else {
		m["path"] = withDefault(withDefault(m["path"], "type", "PathPrefix"), "value", "/")
	}
	for _, list := range []string{"headers", "queryParams"} {
		items, isList := m[list].([]any)
		if !isList {
			continue
		}
		out := make([]any, len(items))
		for i, item := range items {
			out[i] = withDefault(item, "type", "Exact")
		}
		m[list] = out
	}
	return m
}

func withDefault(v any, key, value string) any {
	m, _ := v.(map[string]any)
	if _, has := m[key]; has {
		return m
	}
	m = shallow(m)
	m[key] = value
	return m
}

// backendIdentity is what a backend refers to, defaults of Gateway API filled in.
func backendIdentity(ref any) string {
	m, ok := ref.(map[string]any)
	if !ok {
		return ""
	}
	kind, _ := m["kind"].(string)
	key := []any{m["group"], cmp.Or(kind, "Service"), m["namespace"], m["name"], m["port"]}
	if key[0] == nil {
		key[0] = ""
	}
	return string(object.AppendJSON(nil, key))
}

// weightOf gives the weight of a backend, 1 where it says none.
func weightOf(ref any) any {
	if weight, has := ref.(map[string]any)["weight"]; has {
		return weight
	}
	return int64(1)
}
