package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"headgate.dev/agent"
	"headgate.dev/agent/git"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/review"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// textReport writes for people.
type textReport struct {
	base
	w      io.Writer
	style  term.Style
	about  about
	headed bool
	start  time.Duration // that Envoy took, until it was told

	trusted bool // the local CA was named
}

func (r *textReport) printf(format string, args ...any) { fmt.Fprintf(r.w, format, args...) }

func (r *textReport) ready(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.start = d
	r.printf("envoy %s ready (%.1f s)\n", envoyVersion, d.Seconds())
}

func (r *textReport) restarted(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.printf("%s; it is started again with the same configuration\n", r.style.Bad(err.Error()))
}

func (r *textReport) outcome(o agent.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.headed {
		r.headed = true
		r.head(o.Commit)
	} else {
		r.printf("\n")
	}
	switch {
	case o.Err != nil:
		r.refused(o)
	case o.Kept == nil:
		r.first(o)
	case o.Kept.Revision == o.Commit.Revision:
		r.printf("%s · %s on %s, as before\n", r.title(o.Commit), r.style.Good("live"), envoys(o.Live.Envoys))
	default:
		r.next(o)
	}
	if o.Err == nil && (o.Kept == nil || o.Kept.Revision != o.Commit.Revision) {
		r.trust()
		r.hidden()
		r.places(r.style.Warn, "warning", r.stack.UnusedEndpoints())
		r.places(r.style.Warn, "warning", r.unsaid(r.stack.AliasConflicts()))
	}
	r.places(r.style.Warn, "warning", o.Warnings)
	r.places(r.style.Bad, "not served", o.Live.Refused)
}

func (r *textReport) head(c *git.Commit) {
	parts := []string{r.style.Bold("headgate up"), "repository " + r.about.repository, "path " + r.about.path}
	if c != nil {
		parts = append(parts, r.title(c))
	}
	r.printf("%s\n\n", strings.Join(parts, " · "))
}

// title is a commit as people know it: "main@4f2a9c1 "Raise the timeout"".
func (r *textReport) title(c *git.Commit) string {
	if c.Subject == "" {
		return c.Short()
	}
	return fmt.Sprintf("%s %q", c.Short(), term.Safe(c.Subject, 60))
}

func (r *textReport) first(o agent.Outcome) {
	rows, total := r.stack.Rows(rowLimit)
	r.printf("%s", r.table(rows))
	if total > len(rows) {
		r.printf("  ... and %d more\n", total-len(rows))
	}
	services, routes := r.stack.Count()
	r.printf("\n%s %s, %s on %s · %s\n", r.style.Good("live:"), count(services, "service"), count(routes, "route"),
		envoys(o.Live.Envoys), stages(o.Stages, r.start))
	if file := firstFile(rows); file != "" {
		verb := "commit"
		if r.about.worktree {
			verb = "save"
		}
		r.printf("Now edit %s and %s: the change is live before you reach for the browser. Ctrl-C stops everything.\n", file, verb)
	}
}

func (r *textReport) table(rows []local.Row) string {
	if len(rows) == 0 {
		return "  no route is served\n"
	}
	cells := [][]string{{"LISTENER", "HOST", "PATH", "ANSWER", "FROM"}}
	for _, row := range rows {
		cells = append(cells, []string{row.Listener, row.Row.Host, row.Row.Request, row.Row.Answer, row.From})
	}
	table := term.Table(2, cells)
	if urls := toTry(rows); len(urls) > 0 {
		table += "\n  Try:  " + strings.Join(urls, "\n        ") + "\n"
	}
	return table
}

// toTry gives a few URLs that work on this machine as they are, of every listener the first.
func toTry(rows []local.Row) (urls []string) {
	known := map[string]bool{}
	for _, row := range rows {
		url := row.URL
		if !row.Resolves {
			url = row.Alias
		}
		if url == "" || known[row.Listener] || len(urls) == 4 {
			continue
		}
		known[row.Listener] = true
		urls = append(urls, url)
	}
	return urls
}

func (r *textReport) next(o agent.Outcome) {
	r.printf("%s · %s on %s · %.0f ms\n", r.title(o.Commit), r.style.Good("live"), envoys(o.Live.Envoys), ms(o.Stages.Total))
	changes, total := r.stack.Changed(rowLimit)
	var cells [][]string
	for _, c := range changes {
		cells = append(cells, changeCells(c))
	}
	r.printf("%s", term.Table(2, cells))
	if total > len(changes) {
		r.printf("  ... and %d more\n", total-len(changes))
	}
	for _, l := range r.stack.NewListeners() {
		r.printf("  %s port %d of Gateway %s is served at %s\n", l.Protocol, l.Port, l.Gateway, l.Address)
	}
	if total == 0 {
		r.printf("  no change in traffic (%s changed, %d removed)\n", count(len(o.Change.Put), "object"), len(o.Change.Removed))
	}
}

func changeCells(c local.Change) []string {
	switch {
	case c.Before == nil:
		return []string{"+ " + c.After.Row.Host + " " + c.After.Row.Request, "→ " + answer(c.After), c.After.From}
	case c.After == nil:
		return []string{"- " + c.Before.Row.Host + " " + c.Before.Row.Request, "was " + answer(c.Before), ""}
	case c.Before.Row.Answer == c.After.Row.Answer:
		return []string{"~ " + c.After.Row.Host + " " + c.After.Row.Request, "→ " + answer(c.After), c.After.From}
	default:
		return []string{"~ " + c.After.Row.Host + " " + c.After.Row.Request, c.Before.Row.Answer + " → " + answer(c.After), c.After.From}
	}
}

func answer(r *local.Row) string {
	if len(r.Row.Details) == 0 {
		return r.Row.Answer
	}
	return r.Row.Answer + " (" + strings.Join(r.Row.Details, ", ") + ")"
}

func (r *textReport) refused(o agent.Outcome) {
	switch {
	case o.Commit == nil:
		r.printf("%s · %s", r.about.repository, r.style.Bad("no commit to be had"))
	case errors.Is(o.Err, agent.ErrNotLive):
		r.printf("%s · %s", r.title(o.Commit), r.style.Bad("not live yet"))
	case errors.Is(o.Err, agent.ErrRefused):
		r.printf("%s · %s", r.title(o.Commit), r.style.Bad("not live"))
	default:
		r.printf("%s · %s", r.title(o.Commit), r.style.Bad("refused"))
	}
	if o.Kept != nil && !o.Applied() {
		r.printf(", %s keeps serving", o.Kept.Short())
	}
	r.printf("\n")
	errs := inputErrors(o.Err)
	for i, e := range errs {
		if i == rowLimit {
			r.printf("  ... and %d more; `headgate validate` lists all\n", len(errs)-i)
			break
		}
		r.printf("  %s\n", e.Error())
	}
}

// trust says, once, what to do about certificates that no other program knows.
func (r *textReport) trust() {
	ca := r.stack.CA()
	if ca == "" || r.trusted {
		return
	}
	r.trusted = true
	r.printf("  certificates that are not in the tree are signed by your local CA; trust it with\n    curl --cacert %s", ca)
	rows, _ := r.stack.Rows(rowLimit)
	for _, row := range rows {
		if u, err := url.Parse(row.URL); err == nil && u.Scheme == "https" && !row.Resolves {
			r.printf(" \\\n      --resolve %s:127.0.0.1 %s", u.Host, row.URL)
			break
		}
	}
	r.printf("\n")
}

// hidden warns of rules that no request reaches from now on.
func (r *textReport) hidden() {
	rules := r.stack.NewlyHidden()
	for i := range rules {
		h := &rules[i]
		if i == rowLimit {
			r.printf("  ... and %d more\n", len(rules)-i)
			break
		}
		what, by := review.HiddenWords(h)
		r.printf("  %s %s (%s): %s (%s)\n", r.style.Warn("warning"), what, h.From, by, h.ByFrom)
	}
}

// places prints things with their places, each behind a word that says what they are.
func (r *textReport) places(paint func(string) string, word string, errs schema.Errors) {
	for _, e := range errs {
		r.printf("%s", term.Lines(2, paint, word, e.Error()))
	}
}

func envoys(e agent.Envoys) string {
	if e.Total == 1 {
		return fmt.Sprintf("%d of 1 Envoy", e.Acked)
	}
	return fmt.Sprintf("%d of %d Envoys", e.Acked, e.Total)
}

func stages(s agent.Stages, start time.Duration) string {
	return fmt.Sprintf("%.0f ms (fetch %.0f, render %.0f, apply %.0f, ack %.0f; Envoy's start %.0f)",
		ms(s.Total), ms(s.Fetch), ms(s.Render), ms(s.Apply), ms(s.Ack), ms(start))
}

var count = term.Count

// firstFile is the file of the first row: the one to edit.
func firstFile(rows []local.Row) string {
	for _, row := range rows {
		if file, _, found := strings.Cut(row.From, ":"); found {
			return file
		}
	}
	return ""
}
