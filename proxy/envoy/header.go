package envoy

import (
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"headgate.dev/proxy/model"
)

// headerEdit translates an edit. Envoy removes first and then works through its list in order, which is the model's order
// too.
func headerEdit(e *model.HeaderEdit) (add []*corev3.HeaderValueOption, remove []string) {
	if e == nil {
		return nil, nil
	}
	if n := len(e.Set) + len(e.Add); n > 0 {
		add = make([]*corev3.HeaderValueOption, 0, n)
	}
	for _, h := range e.Set {
		add = append(add, headerOption(h.Name, literal(h.Value), corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
	}
	for _, h := range e.Add {
		add = append(add, headerOption(h.Name, literal(h.Value), corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD))
	}
	return add, e.Remove
}

func headerOption(name, format string, action corev3.HeaderValueOption_HeaderAppendAction) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:         &corev3.HeaderValue{Key: name, Value: format},
		AppendAction:   action,
		KeepEmptyValue: format == "",
	}
}

// compose makes one edit that has the effect of first and then second.
func compose(first, second *model.HeaderEdit) *model.HeaderEdit {
	if first == nil {
		return second
	}
	if second == nil {
		return first
	}
	undone := func(h model.Header) bool {
		return slices.Contains(second.Remove, h.Name) ||
			slices.ContainsFunc(second.Set, func(s model.Header) bool { return s.Name == h.Name })
	}
	return &model.HeaderEdit{
		Set:    append(slices.DeleteFunc(slices.Clone(first.Set), undone), second.Set...),
		Add:    append(slices.DeleteFunc(slices.Clone(first.Add), undone), second.Add...),
		Remove: append(slices.Clip(first.Remove), second.Remove...),
	}
}

// literal writes a value so that Envoy does not take its percent signs for the begin of a command.
func literal(value string) string { return strings.ReplaceAll(value, "%", "%%") }

// checkEdits finds the header names that Envoy refuses to edit. It does so only when it loads the whole table.
func checkEdits(edits ...*model.HeaderEdit) error {
	for _, e := range edits {
		if e == nil {
			continue
		}
		for _, list := range [...][]model.Header{e.Set, e.Add} {
			for _, h := range list {
				if err := checkEditable(h.Name); err != nil {
					return err
				}
			}
		}
		for _, name := range e.Remove {
			if err := checkEditable(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkEditable(name string) error {
	if strings.HasPrefix(name, ":") || strings.EqualFold(name, "host") {
		return fmt.Errorf("header %q cannot be edited: rewrite the host or the path instead", name)
	}
	if name == "" || strings.ContainsFunc(name, notToken) {
		return fmt.Errorf("header %q: not a header name", name)
	}
	return nil
}

// notToken tells what cannot stand in a header name (RFC 9110, 5.6.2).
func notToken(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
