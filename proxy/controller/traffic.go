package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/traffic"
)

// Traffic tells what objects would mean for the traffic that there is. Any replica may be asked, from any goroutine; until it has read the
// cluster, whoever asks waits.
type Traffic struct {
	replica *replica
	now     func() time.Time

	mu    sync.Mutex // guards asked
	asked []*asked   // in the order in which it was
}

// asked is what somebody is about to write, and nobody else gets meanwhile.
type asked struct {
	by    string
	asks  map[engine.Ask]kube.Ref
	until time.Time // zero: it is being written
}

// arrives is how long after a write it is in the engine at the latest, unless the API server has other worries.
const arrives = 5 * time.Second

// Claim is something that an object would ask for and that another one has: only one of the two can answer.
type Claim struct {
	Gateway types.NamespacedName
	// Listener, Host and Request are those of a traffic.Row.
	Listener, Host, Request string
	// Object asks, with the rule of this index; negative: it is not about a single rule.
	Object kube.Ref
	Rule   int
	// By has it, with its labels as they are in the cluster. If it is about to get it, Writer is who asked for it.
	By     kube.Ref
	Labels map[string]string
	Writer string
}

// Claims lists what routes would ask for that others have. The contents are objects as JSON values, those that would be written; kinds that have
// nothing to do with routes count for nothing. What an object asks for as it is today is no claim. An error says which object cannot
// be read.
//
// Of two that ask for the same at one time the first has it: until done is called, which must be, the contents count as written by whoever
// asks, and if they were written then, until they have arrived.
func (t *Traffic) Claims(ctx context.Context, by string, contents []map[string]any) (out []Claim, done func(written bool), err error) {
	var changes []kube.Change
	for _, content := range contents {
		change, known, err := kube.Decode(content)
		if err != nil {
			return nil, nil, err
		}
		if known {
			changes = append(changes, change)
		}
	}
	if len(changes) == 0 {
		return nil, func(bool) {}, nil
	}
	select {
	case <-t.replica.stepped:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("waiting until the cluster has been read: %w", context.Cause(ctx))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a := &asked{by: by}
	out, a.asks = t.claims(by, changes)
	if len(a.asks) > 0 {
		t.asked = append(t.asked, a)
	}
	return out, func(written bool) { t.done(a, written) }, nil
}

// claims compares changes with what there is, and with what others than by have asked for. The lock is held.
func (t *Traffic) claims(by string, changes []kube.Change) (out []Claim, asks map[engine.Ask]kube.Ref) {
	now := t.now()
	t.asked = slices.DeleteFunc(t.asked, func(a *asked) bool { return !a.until.IsZero() && now.After(a.until) })
	writers := map[kube.Ref]string{}
	taken := func(what engine.Ask) (kube.Ref, bool) {
		for _, a := range t.asked {
			if ref, ok := a.asks[what]; ok && a.by != by {
				writers[ref] = a.by
				return ref, true
			}
		}
		return kube.Ref{}, false
	}
	t.replica.loop.read(func(e *engine.Engine) {
		var list []engine.Claim
		list, asks = e.Claims(changes, taken)
		for i := range list {
			claim := claimOf(&list[i])
			claim.Writer = writers[claim.By]
			if o := e.Snapshot().Object(claim.By); o != nil {
				claim.Labels = o.GetLabels()
			}
			out = append(out, claim)
		}
	})
	return out, asks
}

func (t *Traffic) done(a *asked, written bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.until = t.now().Add(arrives)
	if !written {
		t.asked = slices.DeleteFunc(t.asked, func(b *asked) bool { return a == b })
	}
}

func claimOf(c *engine.Claim) Claim {
	kind, _ := kube.KindOf("gateway.networking.k8s.io", c.Source.Kind)
	out := Claim{
		Gateway: c.Gateway, By: c.By, Object: kube.Ref{Kind: kind, Name: types.NamespacedName(c.Source.Name)}, Rule: c.Source.Rule,
	}
	if c.Host != nil {
		row := traffic.RowOf(c.Host, c.Route)
		out.Listener, out.Host, out.Request = row.Listener, row.Host, row.Request
		return out
	}
	out.Listener = fmt.Sprintf("%s:%d", strings.ToLower(string(c.Listener.Protocol)), c.Listener.Port)
	out.Host, out.Request, out.Rule = c.ServerName, out.Listener, -1
	return out
}
