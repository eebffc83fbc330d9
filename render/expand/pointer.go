package expand

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"headgate.dev/render/object"
)

// tokens gives the unescaped tokens of a pointer, which begins with "/".
func tokens(pointer string) []string {
	all := strings.Split(pointer, "/")[1:]
	for i, token := range all {
		all[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return all
}

// prefix gives a pointer up to and including token i.
func prefix(pointer string, i int) string {
	return strings.Join(strings.Split(pointer, "/")[:i+2], "/")
}

// child gives what a token leads to, and the token with the index in place of a name.
func child(v any, token string) (value any, key string, err error) {
	switch v := v.(type) {
	case map[string]any:
		value, ok := v[token]
		if !ok {
			return nil, "", fmt.Errorf("there is no %q", token)
		}
		return value, token, nil
	case []any:
		i, err := index(v, token)
		if err != nil {
			return nil, "", err
		}
		return v[i], strconv.Itoa(i), nil
	}
	return nil, "", fmt.Errorf("%q is looked for in a plain value", token)
}

// index finds an item by number, or by its name where the items have one.
func index(list []any, token string) (int, error) {
	if i, err := strconv.Atoi(token); err == nil {
		if i < 0 || i >= len(list) {
			return 0, fmt.Errorf("there is no item %d, the list has %d", i, len(list))
		}
		return i, nil
	}
	var names []string
	for i, item := range list {
		m, _ := item.(map[string]any)
		name, ok := m["name"].(string)
		if ok && name == token {
			return i, nil
		}
		if ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("%q is no number, and the items have no names", token)
	}
	return 0, fmt.Errorf("there is no item named %q; there are %s", token, strings.Join(names, ", "))
}

// set puts a value where child found one.
func set(v any, key string, value any) {
	switch v := v.(type) {
	case map[string]any:
		v[key] = value
	case []any:
		i, _ := strconv.Atoi(key) // child made it from a number
		v[i] = value
	}
}

// size counts the values in a value.
func size(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			n += size(item)
		}
	case []any:
		for _, item := range v {
			n += size(item)
		}
	}
	return n
}

func length(v any) int {
	switch v := v.(type) {
	case map[string]any:
		return len(v)
	case []any:
		return len(v)
	}
	return 0
}

func add(container any, token string, value any) (changed any, key string, err error) {
	switch c := container.(type) {
	case map[string]any:
		c[token] = value
		return c, token, nil
	case []any:
		i := len(c)
		if token != "-" && token != strconv.Itoa(len(c)) {
			if i, err = index(c, token); err != nil {
				return nil, "", err
			}
		}
		return slices.Insert(c, i, value), strconv.Itoa(i), nil
	}
	return nil, "", errors.New("a plain value has no fields")
}

func replace(container any, token string, value any) (changed any, key string, err error) {
	_, key, err = child(container, token)
	if err != nil {
		return nil, "", err
	}
	set(container, key, value)
	return container, key, nil
}

func remove(container any, token string, _ any) (changed any, key string, err error) {
	_, key, err = child(container, token)
	if err != nil {
		return nil, "", err
	}
	switch c := container.(type) {
	case map[string]any:
		delete(c, key)
		return c, key, nil
	case []any:
		i, _ := strconv.Atoi(key) // child made it from a number
		return slices.Delete(c, i, i+1), key, nil
	}
	return container, key, nil
}

// shiftOrigins moves the record of origins along with the items of a list that got or lost one, and forgets what was
// said about a value that is no longer there.
func (d *draft) shiftOrigins(e edited) {
	cut := strings.LastIndexByte(e.pointer, '/')
	list, at := e.pointer[:cut+1], e.pointer[cut+1:]
	edge, _ := strconv.Atoi(at)
	by := 0
	switch {
	case e.list && e.inserted:
		by = 1
	case e.list && e.removed:
		by = -1
	}
	moved := make(map[string]object.Origin, len(d.fields))
	for pointer, origin := range d.fields {
		if !e.inserted && (pointer == e.pointer || strings.HasPrefix(pointer, e.pointer+"/")) {
			continue
		}
		if rest, ok := strings.CutPrefix(pointer, list); ok && by != 0 {
			pointer = list + shiftItem(rest, edge, by)
		}
		moved[pointer] = origin
	}
	d.fields = moved
}

// shiftItem moves the index a pointer begins with, if it is at the edge or beyond.
func shiftItem(pointer string, edge, by int) string {
	item, below, deeper := strings.Cut(pointer, "/")
	i, err := strconv.Atoi(item)
	if err != nil || i < edge {
		return pointer
	}
	item = strconv.Itoa(i + by)
	if deeper {
		return item + "/" + below
	}
	return item
}

// refuseIdentity says no to a change of what names the object.
func refuseIdentity(pointer string) error {
	if slices.Contains(identityFields, pointer) {
		return fmt.Errorf("changing %s: what names a generated object cannot be patched; change metadata of the spec", pointer)
	}
	return nil
}
