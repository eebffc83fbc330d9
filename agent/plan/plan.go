package plan

import (
	"slices"
	"strings"

	"headgate.dev/render/object"
)

// State is what is known of the cluster before a plan is made.
type State struct {
	// Inventory is what the Sync owns or may own.
	Inventory Inventory
	// Partial says that the inventory, or the list that Marks comes from, could not be read to its end. Then nothing is removed, and
	// the inventory only grows (GrowShards).
	Partial bool
	// Marks are what live objects say about themselves. An object that is not in it may be there or not: it is written when wanted, and is
	// not removed. An owner that no longer exists is left out of its marks by whoever fills them.
	Marks map[object.ID]Mark
	// Gone are objects that were looked for and are not there. See Unseen.
	Gone map[object.ID]bool
}

// Options are what a Sync says about its plans.
type Options struct {
	// Owner is the Sync. Required.
	Owner Owner
	// Keep leaves objects that are no longer wanted where they are (prune: false). They stay in the inventory.
	Keep bool
	// Ignore are the fields left to others.
	Ignore []Rule
}

// Plan is what must be done, in order: write the inventory Before, the stages, the removals, the inventory After.
type Plan struct {
	// Stages that have something to write, in their order.
	Stages []Stage
	// Removals in their order; done after all stages. Whoever carries one out removes the very object whose mark was read (by uid and
	// resource version), so that what was made or protected in the meantime stays.
	Removals []object.ID
	// Unchanged is how many wanted objects need no call.
	Unchanged int
	// Kept are objects that are not wanted any more and stay, sorted by ID.
	Kept []Kept
	// Released are objects of the inventory that turned out to be somebody else's, sorted by ID: they leave the inventory.
	Released []object.ID
	// Before is what may exist from the first write on: the old inventory and what is wanted.
	Before Inventory
	// After is what the Sync owns once everything is done.
	After Inventory
}

// Stage is what is written at the same time. All of it that can be tried is tried (dry run) before its first write; see Write.Waits.
type Stage struct {
	Name   StageName
	Writes []Write
}

// Action says what a write does, as far as that is known.
type Action string

// Actions.
const (
	// Create: the object is not known to be there.
	Create Action = "create"
	// Adopt: the object is there and nobody's: fields are taken over.
	Adopt Action = "adopt"
	// Update: the object is there, is the Sync's own, and was made from something else.
	Update Action = "update"
)

// Write is one object to apply.
type Write struct {
	Object *object.Object
	Action Action
	// Key is what the object's mark says afterwards.
	Key object.Digest
	// Waits are the objects of the same plan, a namespace or a definition, without which an API server would refuse the object. When there
	// are any the object cannot be tried before their stage is written, and is checked without a server until then. Sorted.
	Waits []object.ID
}

// Reason says why an object is kept.
type Reason string

// Reasons.
const (
	// KeptProtected: its annotation says so.
	KeptProtected Reason = "protected"
	// KeptByOption: the Sync does not prune.
	KeptByOption Reason = "prune is off"
	// KeptPartial: not everything could be read.
	KeptPartial Reason = "the list was partial"
	// KeptHolding: a namespace or definition with which something would go that stays.
	KeptHolding Reason = "it holds what stays"
	// KeptUnseen: nobody looked whether it is there and whose it is.
	KeptUnseen Reason = "it was not looked at"
)

// Kept is an object that is not wanted any more and stays.
type Kept struct {
	ID     object.ID
	Reason Reason
}

// Empty tells whether there is nothing to do but perhaps to write the inventory.
func (p *Plan) Empty() bool { return len(p.Stages) == 0 && len(p.Removals) == 0 }

// New says how to come from what is there to what is wanted. The errors are *EmptyError and *OwnedError; with either nothing may be done.
//
// New costs one look-up per object, and a sort of what changes.
func New(desired *object.Set, state State, options Options) (*Plan, error) {
	if desired.Len() == 0 && len(state.Inventory) > 0 {
		return nil, &EmptyError{Owned: len(state.Inventory)}
	}
	if err := foreign(desired, state, options.Owner); err != nil {
		return nil, err
	}
	p := &Plan{}
	wanted := make([]object.ID, 0, desired.Len())
	var writes []Write
	for o := range desired.All() {
		wanted = append(wanted, o.ID)
		w := Write{Object: o, Action: action(state, o.ID, options.Owner), Key: Key(o, options.Ignore)}
		if w.Action == Update && state.Marks[o.ID].Applied == w.Key {
			p.Unchanged++
			continue
		}
		writes = append(writes, w)
	}
	p.stage(writes)
	p.Before = union(state.Inventory, Inventory(wanted))
	p.remove(Inventory(wanted), state, options)
	p.After = union(Inventory(wanted), p.kept())
	return p, nil
}

// All removes everything a Sync owns, for when the Sync is deleted: a plan with nothing but removals. What is protected is kept, and
// everything with options.Keep.
func All(state State, options Options) *Plan {
	p := &Plan{Before: state.Inventory}
	p.remove(nil, state, options)
	p.After = p.kept()
	return p
}

// Unseen gives the objects that are to be looked for before a plan removes anything: those of the inventory that are not wanted and of which
// nothing is known. What is found belongs in Marks, the others in Gone. For All, desired is nil.
func Unseen(desired *object.Set, state State) []object.ID {
	var out []object.ID
	for _, id := range state.Inventory {
		if _, seen := state.Marks[id]; !seen && !state.Gone[id] && desired.Get(id) == nil {
			out = append(out, id)
		}
	}
	return out
}

// foreign refuses objects that belong to other Syncs.
func foreign(desired *object.Set, state State, owner Owner) error {
	var owned []Owned
	for o := range desired.All() {
		if other := state.Marks[o.ID].Owner; other != owner && other != (Owner{}) {
			owned = append(owned, Owned{ID: o.ID, Origin: o.Origin, Owner: other})
		}
	}
	if owned == nil {
		return nil
	}
	return &OwnedError{Objects: owned}
}

func action(state State, id object.ID, owner Owner) Action {
	switch mark, seen := state.Marks[id]; {
	case !seen:
		return Create
	case mark.Owner == owner:
		return Update
	default:
		return Adopt
	}
}

// stage sorts writes into stages.
func (p *Plan) stage(writes []Write) {
	slices.SortFunc(writes, func(a, b Write) int { return Compare(a.Object.ID, b.Object.ID) })
	waiting := newWaits(writes)
	for _, w := range writes {
		w.Waits = waiting.of(w.Object)
		name := stageOf(w.Object.ID)
		if n := len(p.Stages); n == 0 || p.Stages[n-1].Name != name {
			p.Stages = append(p.Stages, Stage{Name: name})
		}
		last := &p.Stages[len(p.Stages)-1]
		last.Writes = append(last.Writes, w)
	}
}

// remove decides about objects of the inventory that are not wanted any more.
func (p *Plan) remove(wanted Inventory, state State, options Options) {
	holds := holding{namespaces: map[string]bool{options.Owner.Namespace: true}, groups: map[string]bool{}}
	for _, id := range wanted {
		holds.add(id)
	}
	var going []object.ID
	for _, id := range state.Inventory.Without(wanted) {
		mark, seen := state.Marks[id]
		switch {
		case state.Partial:
			p.Kept = append(p.Kept, Kept{id, KeptPartial})
		case !seen && state.Gone[id]:
			continue
		case !seen:
			p.Kept = append(p.Kept, Kept{id, KeptUnseen})
		case mark.Owner != options.Owner:
			p.Released = append(p.Released, id)
		case mark.Protected:
			p.Kept = append(p.Kept, Kept{id, KeptProtected})
		case options.Keep:
			p.Kept = append(p.Kept, Kept{id, KeptByOption})
		default:
			going = append(going, id)
			continue
		}
		holds.add(id)
	}
	for _, id := range going {
		if holds.something(id) {
			p.Kept = append(p.Kept, Kept{id, KeptHolding})
			continue
		}
		p.Removals = append(p.Removals, id)
	}
	slices.SortFunc(p.Kept, func(a, b Kept) int { return object.Compare(a.ID, b.ID) })
	slices.SortFunc(p.Removals, func(a, b object.ID) int { return Compare(b, a) })
}

// holding knows in which namespaces and API groups something stays. Which kind a definition defined is not known any more once Git lacks it, so its
// group decides.
type holding struct{ namespaces, groups map[string]bool }

func (h holding) add(id object.ID) {
	h.namespaces[id.Namespace] = true
	h.groups[id.Group] = true
}

// something tells whether what stays would go with an object.
func (h holding) something(id object.ID) bool {
	switch kindOf(id) {
	case namespaceKind:
		return h.namespaces[id.Name]
	case definitionKind:
		_, group, _ := strings.Cut(id.Name, ".")
		return h.groups[group]
	}
	return false
}

// kept gives the IDs of what is kept, which is sorted.
func (p *Plan) kept() Inventory {
	var out Inventory
	for _, k := range p.Kept {
		out = append(out, k.ID)
	}
	return out
}
