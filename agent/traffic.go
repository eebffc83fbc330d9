package agent

import (
	"context"
	"fmt"
	"strings"

	"headgate.dev/agent/git"
	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Traffic tells what objects would mean for the traffic that there is, before anything is applied. In a cluster it is the proxy half of this program, or
// nobody.
type Traffic interface {
	// Claims lists what objects, as owner would write them, would ask for that others have. What an object asks for as it is in the cluster is no
	// claim. Until done is called, which must be, others are told that the owner has what the objects ask for; and if they were written by then,
	// until they can be seen. It may be called from several goroutines at once: of two that ask for the same, one comes first.
	Claims(ctx context.Context, owner plan.Owner, put []*object.Object) (claims []Claim, done func(written bool), err error)
}

// Claim is something that an object would ask for and that another one has: the very same requests of a host, or the same connections. Only one of
// the two can answer.
type Claim struct {
	// ID is the object that asks, Rule the index of its rule; negative: all of it.
	ID   object.ID
	Rule int
	// Gateway, Listener, Host and Request say what it asks for: "infra/public", "http:80", "shop.example.com", "GET /api".
	Gateway, Listener, Host, Request string
	// By has it, and Owner is the Sync of By; zero: no Sync's.
	By    object.ID
	Owner plan.Owner
}

// words say who claims what, and who has it.
func (c *Claim) words(owner plan.Owner) string {
	what := fmt.Sprintf("%s %s of Gateway %s (%s)", c.Host, c.Request, c.Gateway, c.Listener)
	if c.Request == c.Listener {
		what = strings.TrimSuffix(c.Listener+" "+c.Host, " ") + " of Gateway " + c.Gateway
	}
	return fmt.Sprintf("%s of %s asks for %s, which %s of %s has", c.ID, owner, what, c.By, c.Owner)
}

// conflicts sees whether a commit asks for traffic of another Sync, and refuses it or notes that, as the Sync says. Objects that no Sync has made
// are nobody's, and count for nothing. Unless the commit is refused, done is to be called when it is written.
func (d *Driver) conflicts(ctx context.Context, c *git.Commit, set *object.Set) (done func(), err error) {
	d.standing.Attempt.Conflict = ""
	if d.world.Traffic == nil {
		return func() {}, nil
	}
	put, _ := object.Diff(d.before(), set)
	claims, release, err := d.world.Traffic.Claims(ctx, d.owner, put)
	if err != nil {
		return nil, &Problem{Reason: ReasonPolicy, Message: d.keeps(c.Short() + ": " + err.Error()), Result: schema.ResultRefused, Err: err}
	}
	text := d.conflictWords(set, claims)
	if text != "" && d.sync.Spec.Conflicts == schema.ConflictsWarn {
		d.standing.Attempt.Conflict, text = c.Short()+": "+text, ""
	}
	if text == "" {
		return func() { release(true) }, nil
	}
	release(false)
	// It is tried again: the other Sync may let go, of which nobody tells.
	return nil, &Problem{
		Reason: ReasonPolicy, Message: d.keeps(c.Short() + ": " + text + "; to have it applied all the same, set spec.conflicts: warn"),
		Result: schema.ResultRefused,
	}
}

// conflictWords names what is claimed of other Syncs, with its place in the files; each thing once, though every listener of a host has it.
func (d *Driver) conflictWords(set *object.Set, claims []Claim) string {
	type key struct {
		id, by        object.ID
		host, request string
	}
	var parts []string
	seen := map[key]bool{}
	for i := range claims {
		claim := &claims[i]
		k := key{claim.ID, claim.By, claim.Host, claim.Request}
		if claim.Owner == d.owner || claim.Owner == (plan.Owner{}) || seen[k] {
			continue
		}
		seen[k] = true
		at := object.Origin{}
		if o := set.Get(claim.ID); o != nil {
			at = o.Origin
			if claim.Rule >= 0 {
				at = o.OriginOf(fmt.Sprintf("/spec/rules/%d", claim.Rule))
			}
		}
		parts = append(parts, placed(at)+claim.words(d.owner))
	}
	if more := len(parts) - listed; more > 0 {
		parts = append(parts[:listed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}
