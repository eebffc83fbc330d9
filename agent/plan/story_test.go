package plan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"headgate.dev/render/object"
)

// world is a cluster for the tests: objects that carry what was applied and a mark, and the shards of one inventory.
type world struct {
	objects map[object.ID]thing
	shards  map[string]Shard
}

type thing struct {
	content object.Digest
	mark    Mark
}

// errCrash ends a run in the middle.
var errCrash = errors.New("crash")

// run carries a plan out, and crashes after as many writes as there is fuel.
type run struct {
	t     *testing.T
	w     *world
	fuel  int
	limit int

	// read is the inventory that the shards hold, unless they changed.
	read    Inventory
	changed bool
}

func (r *run) step() error {
	if r.fuel == 0 {
		return errCrash
	}
	r.fuel--
	return nil
}

func (w *world) list() []Shard {
	var out []Shard
	for _, s := range w.shards {
		out = append(out, s)
	}
	return out
}

// state is what is read before a plan. The marks are the live ones; unseen are left out.
func (w *world) state(t *testing.T, unseen func(object.ID) bool) State {
	inventory, err := Join(w.list())
	if err != nil {
		t.Fatal(err)
	}
	s := State{Inventory: inventory, Marks: map[object.ID]Mark{}}
	for id, o := range w.objects {
		if !unseen(id) {
			s.Marks[id] = o.mark
		}
	}
	return s
}

func (r *run) inventory(v Inventory) error {
	write, remove := ShardChanges(r.w.list(), Shards(v, r.limit))
	for _, s := range write {
		if err := r.step(); err != nil {
			return err
		}
		r.w.shards[s.Name], r.changed = s, true
		r.check()
	}
	for _, name := range remove {
		if err := r.step(); err != nil {
			return err
		}
		delete(r.w.shards, name)
		r.changed = true
		r.check()
	}
	return nil
}

// check holds what must be true between any two writes: whatever exists and is the Sync's is in its inventory.
func (r *run) check() {
	r.t.Helper()
	if r.changed {
		inventory, err := Join(r.w.list())
		if err != nil {
			r.t.Fatal(err)
		}
		r.read, r.changed = inventory, false
	}
	for id, o := range r.w.objects {
		if o.mark.Owner == me && !r.read.Has(id) {
			r.t.Fatalf("%s is an orphan", id)
		}
	}
}

func (r *run) do(p *Plan) error {
	if err := r.inventory(p.Before); err != nil {
		return err
	}
	for _, stage := range p.Stages {
		writes := slices.Clone(stage.Writes)
		for _, w := range writes {
			if err := r.step(); err != nil {
				return err
			}
			r.write(w)
			r.check()
		}
	}
	for _, id := range p.Removals {
		if err := r.step(); err != nil {
			return err
		}
		if o, there := r.w.objects[id]; !there || o.mark.Owner != me || o.mark.Protected {
			r.t.Fatalf("%s is removed: %v", id, o.mark)
		}
		for other := range r.w.objects {
			if id.Kind == "Namespace" && other.Namespace == id.Name {
				r.t.Fatalf("%s is removed with %s in it", id, other)
			}
		}
		delete(r.w.objects, id)
		r.check()
	}
	return r.inventory(p.After)
}

// write does what an API server would do, and refuses what it would refuse.
func (r *run) write(w Write) {
	id := w.Object.ID
	if id.Namespace != "" {
		if _, there := r.w.objects[object.ID{Kind: "Namespace", Name: id.Namespace}]; !there {
			r.t.Fatalf("%s is written before its namespace", id)
		}
	}
	mark := Mark{Owner: me, Applied: w.Key, Protected: strings.HasPrefix(id.Name, "protected")}
	r.w.objects[id] = thing{content: w.Object.Digest, mark: mark}
}

// TestStories runs random revisions over a cluster, with crashes between any two writes, objects made by hand, and views that lag.
func TestStories(t *testing.T) {
	for seed := range uint64(40) {
		story(t, rand.New(rand.NewPCG(seed, 6)))
	}
}

func story(t *testing.T, random *rand.Rand) {
	w := &world{objects: map[object.ID]thing{}, shards: map[string]Shard{}}
	for _, ns := range []string{"n0", "n1", me.Namespace} {
		w.objects[object.ID{Kind: "Namespace", Name: ns}] = thing{}
	}
	for range 12 {
		desired := randomSet(t, random)
		if id := randomID(random); random.IntN(3) == 0 && w.objects[id] == (thing{}) && id.Namespace != "n2" {
			w.objects[id] = thing{}
		}
		r := &run{t: t, w: w, fuel: -1, limit: minShardSize, changed: true}
		if random.IntN(2) == 0 {
			r.fuel = random.IntN(30)
		}
		complete := random.IntN(4) > 0
		crashed := revise(t, random, r, desired, complete)
		if !crashed && !complete {
			crashed = revise(t, random, &run{t: t, w: w, fuel: -1, limit: minShardSize, changed: true}, desired, true)
		}
		if !crashed && desired.Len() > 0 {
			settled(t, w, desired)
		}
	}
}

// revise brings one revision into the world, whole or until it crashes. Where the view is not complete some objects are not seen.
func revise(t *testing.T, random *rand.Rand, r *run, desired *object.Set, complete bool) (crashed bool) {
	state := r.w.state(t, func(object.ID) bool { return !complete && random.IntN(3) == 0 })
	foreign := map[object.ID]bool{}
	for id, o := range r.w.objects {
		if o.mark.Owner != me && desired.Get(id) == nil {
			foreign[id] = true
		}
	}
	if complete || random.IntN(2) == 0 {
		r.look(&state, Unseen(desired, state))
	}
	p, err := New(desired, state, Options{Owner: me})
	var empty *EmptyError
	if errors.As(err, &empty) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	crashed = r.do(p) != nil
	for id := range foreign {
		if _, there := r.w.objects[id]; !there {
			t.Fatalf("%s was not the Sync's and is gone", id)
		}
	}
	return crashed
}

// look finds out about single objects.
func (r *run) look(state *State, ids []object.ID) {
	state.Gone = map[object.ID]bool{}
	for _, id := range ids {
		if o, there := r.w.objects[id]; there {
			state.Marks[id] = o.mark
		} else {
			state.Gone[id] = true
		}
	}
}

// settled holds that the world is what was wanted, and that there is nothing more to do.
func settled(t *testing.T, w *world, desired *object.Set) {
	t.Helper()
	p, err := New(desired, w.state(t, func(object.ID) bool { return false }), Options{Owner: me})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Empty() || !p.Before.Equal(p.After) || p.Unchanged != desired.Len() {
		t.Fatalf("a plan of what is there already:\n%s", text(p))
	}
	if write, remove := ShardChanges(w.list(), Shards(p.After, minShardSize)); len(write)+len(remove) > 0 {
		t.Fatalf("the inventory is written again: %d, %v", len(write), remove)
	}
	for o := range desired.All() {
		if w.objects[o.ID].content != o.Digest {
			t.Fatalf("%s is not what was wanted", o.ID)
		}
	}
	for id, o := range w.objects {
		if o.mark.Owner == me && desired.Get(id) == nil && !o.mark.Protected && !slices.Contains(p.Kept, Kept{id, KeptHolding}) {
			t.Fatalf("%s is left over", id)
		}
	}
}

func randomID(random *rand.Rand) object.ID {
	kinds := []kind{{"", "ConfigMap"}, {"", "Service"}, {gatewayGroup, "HTTPRoute"}}
	k := kinds[random.IntN(len(kinds))]
	name := fmt.Sprintf("%s-%d", []string{"some", "some", "protected"}[random.IntN(3)], random.IntN(40))
	return object.ID{Group: k.group, Kind: k.kind, Namespace: fmt.Sprintf("n%d", random.IntN(3)), Name: name}
}

func randomSet(t *testing.T, random *rand.Rand) *object.Set {
	objects := map[object.ID]*object.Object{}
	add := func(id object.ID) {
		objects[id] = made(t, id, map[string]any{"content": fmt.Sprint(random.IntN(3))})
	}
	for range random.IntN(80) {
		id := randomID(random)
		add(id)
		if id.Namespace == "n2" {
			add(object.ID{Kind: "Namespace", Name: "n2"})
		}
	}
	var out []*object.Object
	for _, o := range objects {
		out = append(out, o)
	}
	return setOf(t, out...)
}
