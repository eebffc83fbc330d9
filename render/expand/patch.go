package expand

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// maxPatched is how many values the patches of one spec may put into objects: a few copies of copies would fill any
// memory.
const maxPatched = 100_000

// applyPatches applies the patches of a spec in order, each to every object its target fits.
func applyPatches(s schema.Spec, drafts []*draft, patches []schema.Patch) schema.Errors {
	var errs schema.Errors
	budget := maxPatched
	for i := range patches {
		at := "/spec/patches/" + strconv.Itoa(i)
		targets, problem := selectTargets(drafts, patches[i].Target)
		if problem != "" {
			errs = append(errs, s.Errorf(at+"/target", "%s", problem))
			continue
		}
		for _, d := range targets {
			if !d.own {
				d.content, d.own = object.CloneMap(d.content), true
			}
			for j := range patches[i].Patch {
				at := at + "/patch/" + strconv.Itoa(j)
				err := d.apply(&patches[i].Patch[j], s.At(at), &budget)
				if err != nil {
					errs = append(errs, s.Errorf(at, "%s", err))
				}
				if budget < 0 {
					return errs
				}
			}
		}
	}
	return errs
}

// selectTargets gives the objects a target fits, or what is wrong with it.
func selectTargets(drafts []*draft, target schema.PatchTarget) (found []*draft, problem string) {
	kinds := map[string]bool{}
	var all []string
	for _, d := range drafts {
		kind, name := d.identity()
		all = append(all, kind+" "+name)
		kinds[kind] = true
		if (target.Kind == "" || target.Kind == kind) && (target.Name == "" || target.Name == name) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0:
		return nil, "fits none of the generated objects: " + strings.Join(all, ", ")
	case target.Kind == "" && len(kinds) > 1:
		return nil, "needs a kind, because several are generated: " + strings.Join(all, ", ")
	}
	return found, ""
}

func (d *draft) identity() (kind, name string) {
	kind, _ = d.content["kind"].(string)
	metadata, _ := d.content["metadata"].(map[string]any)
	name, _ = metadata["name"].(string)
	return kind, name
}

// apply applies one operation, whose result comes from the place at, and takes what it costs from the budget.
func (d *draft) apply(op *schema.PatchOperation, at object.Origin, budget *int) error {
	value := op.Value
	if op.Op == schema.PatchMove || op.Op == schema.PatchCopy {
		found, err := d.get(op.From)
		if err != nil {
			return err
		}
		value = found
	}
	*budget -= 1 + size(value)
	if *budget < 0 {
		return fmt.Errorf("the patches put more than %d values into objects", maxPatched)
	}
	value = object.Clone(value)
	switch op.Op {
	case schema.PatchMove:
		if strings.HasPrefix(op.Path, op.From+"/") {
			return fmt.Errorf("moving %s into itself", op.From)
		}
		if err := d.edit(op.From, remove, nil, object.Origin{}); err != nil {
			return err
		}
	case schema.PatchRemove:
		return d.edit(op.Path, remove, nil, at)
	case schema.PatchTest:
		return d.test(op.Path, value)
	case schema.PatchReplace:
		return d.edit(op.Path, replace, value, at)
	}
	return d.edit(op.Path, add, value, at)
}

func (d *draft) test(path string, want any) error {
	value, err := d.get(path)
	if err != nil {
		return err
	}
	got, expected := object.AppendJSON(nil, value), object.AppendJSON(nil, want)
	if !bytes.Equal(got, expected) {
		return fmt.Errorf("testing %s: it is %s, not %s", path, got, expected)
	}
	return nil
}

func (d *draft) get(path string) (any, error) {
	var v any = d.content
	for i, token := range tokens(path) {
		next, _, err := child(v, token)
		if err != nil {
			return nil, fmt.Errorf("looking up %s: %w", prefix(path, i), err)
		}
		v = next
	}
	return v, nil
}

// identityFields name an object and so cannot be changed.
var identityFields = []string{"/apiVersion", "/kind", "/metadata", "/metadata/name", "/metadata/namespace"}

// change is what edit does with the last token of a path: it gives the changed container and the token as an index or key.
type change func(container any, token string, value any) (changed any, key string, err error)

// edit changes what a path leads to and keeps the record of origins right.
func (d *draft) edit(path string, f change, value any, at object.Origin) error {
	if err := refuseIdentity(path); err != nil {
		return err
	}
	all := tokens(path)
	changed, resolved, err := editAt(d.content, all, f, value)
	if err != nil {
		return fmt.Errorf("changing %s: %w", path, err)
	}
	content, ok := changed.(map[string]any)
	if !ok {
		return fmt.Errorf("changing %s: the whole object cannot be replaced", path)
	}
	d.content = content
	d.shiftOrigins(resolved)
	if at.Line > 0 && !resolved.removed {
		d.fields[resolved.pointer] = at
	}
	return nil
}

// edited is where an edit took place: pointer has indexes in place of names.
type edited struct {
	pointer  string
	list     bool
	inserted bool
	removed  bool
}

func editAt(v any, tokens []string, f change, value any) (any, edited, error) {
	if len(tokens) > 1 {
		next, key, err := child(v, tokens[0])
		if err != nil {
			return nil, edited{}, err
		}
		changed, e, err := editAt(next, tokens[1:], f, value)
		if err != nil {
			return nil, edited{}, err
		}
		set(v, key, changed)
		e.pointer = "/" + schema.EscapePointer(key) + e.pointer
		return v, e, nil
	}
	before := length(v)
	changed, key, err := f(v, tokens[0], value)
	if err != nil {
		return nil, edited{}, err
	}
	_, list := v.([]any)
	after := length(changed)
	return changed, edited{pointer: "/" + schema.EscapePointer(key), list: list, inserted: after > before, removed: after < before}, nil
}
