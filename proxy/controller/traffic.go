package controller

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/traffic"
)

// Traffic tells what objects would mean for the traffic that there is. Any replica may be asked, from any goroutine; until it has read the
// cluster, whoever asks waits.
type Traffic struct {
	replica *replica
}

// Claim is something that an object would ask for and that another one has: only one of the two can answer.
type Claim struct {
	Gateway types.NamespacedName
	// Listener, Host and Request are those of a traffic.Row.
	Listener, Host, Request string
	// Object asks, with the rule of this index; negative: it is not about a single rule.
	Object kube.Ref
	Rule   int
	// By has it, with its labels as they are in the cluster.
	By     kube.Ref
	Labels map[string]string
}

// Claims lists what routes would ask for that others have. The contents are objects as JSON values, those that would be written; kinds that have
// nothing to do with routes count for nothing. What an object asks for as it is today is no claim. An error says which object cannot
// be read.
func (t *Traffic) Claims(ctx context.Context, contents []map[string]any) ([]Claim, error) {
	var changes []kube.Change
	for _, content := range contents {
		change, known, err := kube.Decode(content)
		if err != nil {
			return nil, err
		}
		if known {
			changes = append(changes, change)
		}
	}
	if len(changes) == 0 {
		return nil, nil
	}
	select {
	case <-t.replica.stepped:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting until the cluster has been read: %w", context.Cause(ctx))
	}
	var out []Claim
	t.replica.loop.read(func(e *engine.Engine) {
		for _, c := range e.Claims(changes) {
			claim := claimOf(&c)
			if o := e.Snapshot().Object(c.By); o != nil {
				claim.Labels = o.GetLabels()
			}
			out = append(out, claim)
		}
	})
	return out, nil
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
