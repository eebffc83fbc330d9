// Package review says what a change does to traffic and objects, for people at a terminal, for the comment of a pull request, and as JSON.
package review

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/changes"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Difference is everything there is to say about a change.
type Difference struct {
	From     string           `json:"from"` // "main@4f2a9c1"
	To       string           `json:"to"`
	Traffic  []TrafficChange  `json:"traffic"`
	Total    int              `json:"trafficTotal"`
	Hidden   []local.Hidden   `json:"hidden"`
	Objects  []changes.Object `json:"objects"`
	Unserved schema.Errors    `json:"notServed"`
	Warnings schema.Errors    `json:"warnings"`

	named, gateways, listeners bool // several has looked, and what it found
}

// TrafficChange is a row of traffic that is another one afterwards. Before is nil for one that came, After for one that went.
type TrafficChange struct {
	Before *local.Row `json:"before,omitempty"`
	After  *local.Row `json:"after,omitempty"`
}

// diffLimit is how many rows of traffic are compared in writing.
const diffLimit = 1000

// New makes a Difference of nothing between two revisions.
func New(from, to string, warnings schema.Errors) *Difference {
	return &Difference{From: from, To: to, Traffic: []TrafficChange{}, Objects: []changes.Object{}, Warnings: nonNil(warnings)}
}

// Apply lets a stack that holds what was before hold what is after, and notes what that does.
func (d *Difference) Apply(ctx context.Context, stack *local.Stack, before *object.Set, change agent.Change) error {
	if err := stack.Apply(ctx, change); err != nil {
		return err
	}
	changes, total := stack.Changed(diffLimit)
	for _, c := range changes {
		d.Traffic = append(d.Traffic, TrafficChange(c))
	}
	d.Total, d.Hidden, d.Unserved = total, slices.Concat([]local.Hidden{}, stack.NewlyHidden()), nonNil(stack.Unserved())
	d.objects(before, change)
	return nil
}

// objects compares the objects that a change writes and removes with what there was.
func (d *Difference) objects(before *object.Set, c agent.Change) {
	for _, o := range c.Put {
		old := before.Get(o.ID)
		if old == nil {
			d.Objects = append(d.Objects, changes.Object{Change: changes.Added, Object: o.ID.String(), From: o.Origin.String()})
			continue
		}
		change := changes.Object{Change: changes.Changed, Object: o.ID.String(), From: o.Origin.String()}
		for _, field := range object.Changes(old, o) {
			change.Fields = append(change.Fields, changes.NewField(old, o, field))
		}
		d.Objects = append(d.Objects, change)
	}
	for _, id := range c.Removed {
		d.Objects = append(d.Objects, changes.Object{Change: changes.Removed, Object: id.String(), From: before.Get(id).Origin.String()})
	}
}

// summary is the change in one line.
func (d *Difference) summary() string {
	added, changed, removed := changes.Count(d.Objects)
	if d.Total+len(d.Objects) == 0 {
		return "no change"
	}
	return fmt.Sprintf("%s of traffic; objects: %d added, %d changed, %d removed", term.Count(d.Total, "change"), added, changed, removed)
}

// requests is how a row names its requests: with the listener, and the Gateway, where the rows are of several. A connection is
// named by its listener.
func (d *Difference) requests(r *local.Row) string {
	row := &r.Row
	gateways, listeners := d.several()
	text, connection := row.Host+" "+row.Request, row.Request == row.Listener
	switch {
	case connection && row.Host == "*":
		text = row.Listener
	case connection:
		text = row.Listener + " " + row.Host
	case listeners:
		text = row.Listener + " " + text
	}
	if gateways {
		text = r.Gateway + " " + text
	}
	return text
}

// several tells whether the rows are of more than one Gateway, and the requests among them of more than one listener.
func (d *Difference) several() (gateways, listeners bool) {
	if d.named {
		return d.gateways, d.listeners
	}
	gateway, listener := "", ""
	for _, c := range d.Traffic {
		for _, r := range []*local.Row{c.Before, c.After} {
			if r == nil {
				continue
			}
			d.gateways = d.gateways || gateway != "" && gateway != r.Gateway
			gateway = r.Gateway
			if r.Row.Request != r.Row.Listener {
				d.listeners = d.listeners || listener != "" && listener != r.Row.Listener
				listener = r.Row.Listener
			}
		}
	}
	d.named = true
	return d.gateways, d.listeners
}

// HiddenWords says that a rule can never match, and who is in its way.
func HiddenWords(h *local.Hidden) (what, by string) {
	if h.Same {
		return fmt.Sprintf("conflict: %s of %s never answers", hiddenRequests(h), h.Object),
			fmt.Sprintf("%s claims the same and goes first (%s)", h.By, hiddenWhy(h))
	}
	return fmt.Sprintf("shadowed: %s of %s never answers", hiddenRequests(h), h.Object),
		fmt.Sprintf("%s takes all of it (%s)", h.By, hiddenWhy(h))
}

// hiddenRequests names the requests; connections by their listener.
func hiddenRequests(h *local.Hidden) string {
	switch {
	case h.Host == "*" && !strings.Contains(h.Request, "/"):
		return h.Request
	case strings.HasPrefix(h.Request, "tls:"):
		return h.Request + " " + h.Host
	}
	return h.Host + " " + h.Request
}

// hiddenWhy is why the other one goes first, without its name once more.
func hiddenWhy(h *local.Hidden) string {
	if h.Tie {
		return "only the age or the name decides"
	}
	return h.Why
}

func nonNil(errs schema.Errors) schema.Errors {
	if errs == nil {
		return schema.Errors{}
	}
	return errs
}
