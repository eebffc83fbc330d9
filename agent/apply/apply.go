package apply

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"k8s.io/client-go/rest"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// Config is what an Applier is made from. Every field is required that is not marked optional.
type Config struct {
	// REST is how headgate itself reaches the API server. It is not written to.
	REST *rest.Config
	// Kinds are shared by all Appliers of a process.
	Kinds *Kinds
	// Owner is the Sync. Its inventory is in its namespace.
	Owner plan.Owner
	// Account is the name of the service account, in the Sync's namespace, as which objects are read and written. It may be empty for commands of a
	// person alone: then REST's own user does all.
	Account string
	// Person must be set where there is no account, so that a forgotten one is no way to headgate's own rights.
	Person bool
	// Exists tells whether a Sync exists, for objects that say they belong to another one: one that does not exist owns nothing. Optional: without
	// it, every owner counts. It is called by one goroutine at a time.
	Exists func(plan.Owner) bool
}

// Applier makes a cluster hold the objects of one Sync. Its methods may be called at any time; one apply runs after the other.
type Applier struct {
	config Config
	own    *client // headgate itself, for the inventory alone
	as     *client // the service account

	busy sync.Mutex // held during an apply
	inventory
	// seen is what is known of objects, from reading or writing them. What is not in it is read when it matters.
	seen map[object.ID]seen
}

// New makes an Applier. It makes no call.
func New(config Config) (*Applier, error) {
	if (config.Account == "") != config.Person || config.Owner.Name == "" || config.Owner.Namespace == "" {
		return nil, errors.New("making an Applier: a Sync and its service account are required")
	}
	a := &Applier{config: config, seen: map[object.ID]seen{}}
	var err error
	if a.own, err = newClient(config.REST, ""); err != nil {
		return nil, err
	}
	a.as, err = newClient(config.REST, a.user())
	return a, err
}

// user is the name of the service account for the API server; empty for a person.
func (a *Applier) user() string {
	if a.config.Person {
		return ""
	}
	return "system:serviceaccount:" + a.config.Owner.Namespace + ":" + a.config.Account
}

// account is the name of the service account for people.
func (a *Applier) account() string {
	if a.config.Person {
		return "this user"
	}
	return "service account " + a.config.Owner.Namespace + "/" + a.config.Account
}

// Forget drops what was read and written before, so that the next apply reads everything anew.
func (a *Applier) Forget() {
	a.busy.Lock()
	defer a.busy.Unlock()
	a.forget()
}

func (a *Applier) forget() {
	a.seen = map[object.ID]seen{}
	a.inventory = inventory{}
}

// Request is what is wanted.
type Request struct {
	// Desired is everything that the revision renders to.
	Desired *object.Set
	// Ignore are the fields that are left to others.
	Ignore []plan.Rule
	// Keep leaves objects that are no longer wanted where they are.
	Keep bool
	// Force takes fields over from other controllers, and deletes and makes again what cannot be changed.
	Force bool
	// Again are objects that are written even though nothing changed in Git, because something changed in the cluster.
	Again []object.ID
	// Secrets are values that must not be in an error or a warning, such as those that were substituted. The values of Secrets among the
	// objects need not be in it.
	Secrets []string
}

// Result is what was done.
type Result struct {
	// Written objects, in the order in which they were planned.
	Written []Written
	// Removed objects, in the order in which they were planned.
	Removed []Removed
	// Unchanged is how many objects needed no write.
	Unchanged int
	// Kept are objects that are not wanted any more and stay, sorted by ID.
	Kept []plan.Kept
	// Released are objects that turned out to be somebody else's, sorted by ID.
	Released []object.ID
	// Warnings are what the API server said about objects it took, sorted.
	Warnings []Warning
	// Inventory is what the Sync owns now, or may own. Nil when that is not known.
	Inventory plan.Inventory
	// Partial says which part of the inventory could not be read, so that nothing was removed. Empty: all of it could.
	Partial string
}

// Written is an object that was applied.
type Written struct {
	// Object is as Git has it.
	Object *object.Object
	Action plan.Action
	// UID, Generation and ResourceVersion are the live object's.
	UID             string
	Generation      int64
	ResourceVersion string
	// Live is the object as the API server returned it, with managedFields, and with the values of a Secret: whoever keeps it hashes them.
	// Read it, never write to it.
	Live map[string]any
	// Yielded are the fields that were left to others.
	Yielded []plan.Yielded
	// Recreated says that the object was deleted and made again.
	Recreated bool
	// TakenOver are the managers, sorted, whose fields became the Sync's.
	TakenOver []string
}

// Removed is an object that was removed, or that is on its way: its finalizers may take time.
type Removed struct {
	ID  object.ID
	UID string
}

// Warning is what an API server said about an object that it took.
type Warning struct {
	ID     object.ID
	Origin object.Origin
	Text   string
}

// Apply makes the cluster hold what is wanted: it writes what differs and removes what the Sync owns and does not want any more. The result is there
// with an error too, and has what was done until then.
//
// The errors are *plan.EmptyError and *plan.OwnedError, with which nothing was done; Errors of the objects of a stage, with which nothing of the stage
// was written when they were found by trying; and *Error. After any of them the same call, or another one, goes on from what is there.
func (a *Applier) Apply(ctx context.Context, request Request) (*Result, error) {
	a.busy.Lock()
	defer a.busy.Unlock()
	r := a.newRun(request)
	defer r.finish()
	for {
		p, err := r.plan(ctx)
		if err != nil {
			return &r.result, err
		}
		if err := r.carryOut(ctx, p); err != nil || !r.remade {
			return &r.result, err
		}
		// A namespace or definition was gone, and what was in it with it: what was planned for that is void.
		r.remade, r.gone = false, map[object.ID]bool{}
		a.seen = map[object.ID]seen{}
	}
}

// run is one apply.
type run struct {
	*Applier
	request Request
	kinds   lookUps
	mask    func() masker
	gone    map[object.ID]bool

	mu     sync.Mutex // guards what follows and Applier.seen, while objects are worked on at the same time
	result Result
	// remade is set when a namespace or definition had to be waited out and made anew.
	remade bool
}

func (a *Applier) newRun(request Request) *run {
	return &run{
		Applier: a, request: request, kinds: lookUps{Kinds: a.config.Kinds}, gone: map[object.ID]bool{},
		// Most applies have nothing to hide, for nothing is said.
		mask: sync.OnceValue(func() masker { return newMasker(request.Secrets, request.Desired) }),
	}
}

func (r *run) options() plan.Options {
	return plan.Options{Owner: r.config.Owner, Keep: r.request.Keep, Ignore: r.request.Ignore}
}

// plan reads what is not known yet and says what to do.
func (r *run) plan(ctx context.Context) (*plan.Plan, error) {
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	return plan.New(r.request.Desired, r.state(), r.options())
}

// state is what is known.
func (r *run) state() plan.State {
	s := plan.State{Inventory: r.owned, Partial: r.broken != nil, Marks: make(map[object.ID]plan.Mark, len(r.seen)), Gone: r.gone}
	for id, known := range r.seen {
		s.Marks[id] = known.mark
	}
	for _, id := range r.request.Again {
		if mark, ok := s.Marks[id]; ok {
			mark.Applied = object.Digest{}
			s.Marks[id] = mark
		}
	}
	return s
}

// carryOut does what is planned, in its order.
func (r *run) carryOut(ctx context.Context, p *plan.Plan) error {
	r.result.Unchanged = p.Unchanged
	for _, stage := range p.Stages {
		if err := r.stage(ctx, stage, p); err != nil || r.remade {
			return err
		}
	}
	if r.broken != nil {
		r.result.Partial = r.broken.Error()
	}
	if err := r.grow(ctx, p.Before); err != nil { // where nothing was written
		return err
	}
	stayed, err := r.removeAll(ctx, p.Removals)
	r.result.Kept = append(r.result.Kept, p.Kept...)
	r.result.Released = append(r.result.Released, p.Released...)
	if err != nil {
		return err
	}
	return r.shrink(ctx, plan.NewInventory(append(stayed, p.After...)))
}

// finish completes the result.
func (r *run) finish() {
	if r.loaded {
		r.result.Inventory = r.owned
	}
	r.result.sort()
}

// sort brings what was noted by several at the same time in order.
func (r *Result) sort() {
	slices.SortFunc(r.Kept, func(a, b plan.Kept) int { return object.Compare(a.ID, b.ID) })
	slices.SortFunc(r.Released, object.Compare)
	slices.SortFunc(r.Warnings, func(a, b Warning) int { return cmp.Or(object.Compare(a.ID, b.ID), strings.Compare(a.Text, b.Text)) })
	r.Warnings = slices.Compact(r.Warnings)
}
