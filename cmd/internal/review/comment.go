package review

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/agent/preview"
	"headgate.dev/cmd/internal/changes"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/narrow"
	"headgate.dev/render/object"
)

// Comment writes the comment on the pull request of a preview. Everything that comes out of a repository stands in code.
func Comment(ctx context.Context, r agent.PreviewReport) (string, error) {
	var w strings.Builder
	commentHead(&w, &r)
	commentRefusals(&w, r.Refusals)
	if r.Before == nil || r.After == nil || r.Problem != nil && !r.Refused {
		return w.String(), nil
	}
	entries, err := entriesOf(r.Before, r.After)
	if err != nil {
		return "", err
	}
	before, errs := r.Before.Replace(entries, nil)
	after, more := r.After.Replace(entries, nil)
	if errs = append(errs, more...); len(errs) > 0 {
		return "", errs
	}
	d := New("production", "this pull request", nil)
	merged := agent.Change{Set: after}
	merged.Put, merged.Removed = object.Diff(before, after)
	stack, err := local.New(local.Options{Detached: true})
	if err != nil {
		return "", err
	}
	defer stack.Close()
	if err := stack.Apply(ctx, agent.Change{Set: before, Put: narrow.Touched(before, merged)}); err != nil {
		return "", err
	}
	if err := d.Apply(ctx, stack, before, merged); err != nil {
		return "", err
	}
	d.Markdown(&w)
	return w.String(), nil
}

// commentRefusals lists what of a change has no place in its preview.
func commentRefusals(w io.Writer, all []preview.Refusal) {
	for i, e := range all {
		if i == MarkdownRows {
			fmt.Fprintf(w, "- and %d more\n", len(all)-i)
			break
		}
		fmt.Fprintf(w, "- not previewed: %s\n", changes.Code(e.Error.Error()))
	}
	if len(all) > 0 {
		fmt.Fprintln(w)
	}
}

// entriesOf makes up the Gateways that routes lead to and the sets do not have, since those of a cluster are often somebody else's: each listener that is
// named takes plain HTTP for every host, so that what differs is what the routes say.
func entriesOf(sets ...*object.Set) ([]*object.Object, error) {
	type entry struct {
		id        object.ID
		listeners map[string]any
	}
	var all []*entry
	for _, set := range sets {
		for o := range set.All() {
			if o.ID.Kind != "HTTPRoute" && o.ID.Kind != "GRPCRoute" {
				continue
			}
			for _, ref := range parentsOf(o) {
				id := object.ID{Group: gwv1.GroupName, Kind: "Gateway", Namespace: cmp.Or(ref.namespace, o.ID.Namespace), Name: ref.name}
				if slices.ContainsFunc(sets, func(s *object.Set) bool { return s.Get(id) != nil }) {
					continue
				}
				i := slices.IndexFunc(all, func(e *entry) bool { return e.id == id })
				if i < 0 {
					i = len(all)
					all = append(all, &entry{id: id, listeners: map[string]any{}})
				}
				name := cmp.Or(ref.section, "http")
				all[i].listeners[name] = map[string]any{"name": name, "port": int64(80), "protocol": "HTTP",
					"allowedRoutes": map[string]any{"namespaces": map[string]any{"from": "All"}}}
			}
		}
	}
	var out []*object.Object
	for _, e := range all {
		var listeners []any
		for i, name := range slices.Sorted(maps.Keys(e.listeners)) {
			l, _ := e.listeners[name].(map[string]any)
			l["port"] = int64(80 + i) // two listeners of a port would be in each other's way
			listeners = append(listeners, l)
		}
		o, err := object.New(map[string]any{"apiVersion": gwv1.GroupVersion.String(), "kind": "Gateway",
			"metadata": map[string]any{"namespace": e.id.Namespace, "name": e.id.Name},
			"spec":     map[string]any{"gatewayClassName": local.ClassName, "listeners": listeners}}, object.Origin{}, nil)
		if err != nil {
			return nil, fmt.Errorf("making up %s: %w", e.id, err)
		}
		out = append(out, o)
	}
	return out, nil
}

type parentRef struct{ namespace, name, section string }

// parentsOf are the Gateways that a route names.
func parentsOf(o *object.Object) (out []parentRef) {
	spec, _ := o.Content["spec"].(map[string]any)
	refs, _ := spec["parentRefs"].([]any)
	for _, ref := range refs {
		m, _ := ref.(map[string]any)
		text := func(field string) string { s, _ := m[field].(string); return s }
		if kind := text("kind"); text("name") != "" && (kind == "" || kind == "Gateway") {
			out = append(out, parentRef{text("namespace"), text("name"), text("sectionName")})
		}
	}
	return out
}

// commentHead is the first paragraph: where it answers, or why it does not.
func commentHead(w io.Writer, r *agent.PreviewReport) {
	commit := r.Commit[:min(7, len(r.Commit))]
	switch {
	case r.Refused:
		fmt.Fprintf(w, "**Not previewed:** %s changes what a fork may not\n\n", commit)
		return
	case r.Problem != nil:
		fmt.Fprintf(w, "**Not previewed:** %s does not become a preview", commit)
		if r.Serving != "" {
			fmt.Fprintf(w, "; %s is served on", r.Serving[:min(7, len(r.Serving))])
		}
		fmt.Fprint(w, "\n\n")
		for line := range strings.Lines(r.Problem.Message) {
			if line = strings.TrimSpace(line); line != "" {
				fmt.Fprintf(w, "- %s\n", changes.Code(line))
			}
		}
		fmt.Fprintln(w)
		return
	}
	fmt.Fprint(w, "**Preview**")
	hosts := 0
	for i := range r.Sites {
		if r.Sites[i].Host == "" {
			continue
		}
		if hosts++; hosts > 10 {
			fmt.Fprint(w, " ...")
			break
		}
		scheme, _, _ := strings.Cut(r.URL, "://")
		fmt.Fprintf(w, " %s://%s", scheme, r.Sites[i].Host) // labels of letters, digits and dashes
	}
	if hosts == 0 && len(r.Sites) > 0 {
		fmt.Fprintf(w, " at production's hosts, with the header `x-headgate-preview: %s`", r.Name)
	}
	if len(r.Sites) == 0 {
		fmt.Fprint(w, " nothing differs: production answers everything")
	}
	fmt.Fprintf(w, " · live at %s, %s after the push\n\n", commit, spoken(r.LiveAfter))
}

// spoken is a duration as people say it.
func spoken(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
