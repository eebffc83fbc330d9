package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/changes"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/review"
	"headgate.dev/render/object"
)

// previewComment writes the comment on the pull request of a preview. Everything that comes out of a repository stands in code.
func previewComment(ctx context.Context, r agent.PreviewReport) (string, error) {
	var w strings.Builder
	commentHead(&w, &r)
	for i, e := range r.Refusals {
		if i == review.MarkdownRows {
			fmt.Fprintf(&w, "- and %d more\n", len(r.Refusals)-i)
			break
		}
		fmt.Fprintf(&w, "- not previewed: %s\n", changes.Code(e.Error.Error()))
	}
	if len(r.Refusals) > 0 {
		fmt.Fprintln(&w)
	}
	if r.Before == nil || r.After == nil || r.Problem != nil && !r.Refused {
		return w.String(), nil
	}
	d := review.New("production", "this pull request", nil)
	merged := agent.Change{Set: r.After}
	merged.Put, merged.Removed = object.Diff(r.Before, r.After)
	stack, err := holding(ctx, r.Before, local.Touched(r.Before, merged), local.Options{})
	if err != nil {
		return "", err
	}
	defer stack.Close()
	if err := d.Apply(ctx, stack, r.Before, merged); err != nil {
		return "", err
	}
	d.Markdown(&w)
	return w.String(), nil
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
