package forge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
)

// StatusState is what a status says about its commit.
type StatusState string

// States of a status.
const (
	Pending StatusState = "pending"
	Success StatusState = "success"
	Failure StatusState = "failure"
)

// Status is what one context says about a commit.
type Status struct {
	Context string
	State   StatusState
	// Description is cut to 140 characters, GitHub's bound, and made one line.
	Description string
	// URL leads to more, and may be empty.
	URL string
}

type statusKey struct{ repo, commit, context string }

const descriptionLength = 140

// SetStatus sets the status of a commit, unless it is that already. What the host has is remembered, and asked once for each commit, so that
// neither a repetition nor a restart makes an entry. Calls for the same commit and context are to come one after another.
//
// GitLab lets a pending status only end: a new description of one that stays pending is not shown there.
func (c *Client) SetStatus(ctx context.Context, repo, commit string, s Status) error {
	doing := "setting the status of " + commit + " in " + repo
	if err := c.checkCommit(doing, repo, commit); err != nil {
		return err
	}
	if problem := s.problem(); problem != "" {
		return c.invalid(doing, problem)
	}
	s.Description = shorten(strings.Join(strings.Fields(s.Description), " "), descriptionLength)
	key := statusKey{repo, commit, s.Context}
	had, known := c.rememberedStatus(key)
	if !known {
		all, err := c.host.listStatuses(ctx, repo, commit)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(all, func(o Status) bool { return o.Context == s.Context }); i >= 0 {
			had = all[i] // the newest
		}
	}
	if had != s {
		if err := c.host.setStatus(ctx, repo, commit, s); err != nil {
			c.rememberStatus(key, nil) // it may have arrived all the same
			return err
		}
	}
	c.rememberStatus(key, &s)
	return nil
}

func (s Status) problem() string {
	if s.Context == "" || len(s.Context) > 255 {
		return "a status has a context of at most 255 characters"
	}
	if s.State != Pending && s.State != Success && s.State != Failure {
		return "a status is pending, success or failure"
	}
	return ""
}

func (c *Client) rememberedStatus(k statusKey) (Status, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statuses.get(k)
}

func (c *Client) rememberStatus(k statusKey, s *Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == nil {
		c.statuses.drop(k)
		return
	}
	c.statuses.put(k, *s)
}

// Statuses lists the newest status of each context, by context. On GitHub check runs are among them, under their names, as far as the
// token may see them.
func (c *Client) Statuses(ctx context.Context, repo, commit string) ([]Status, error) {
	if err := c.checkCommit("listing statuses in "+repo, repo, commit); err != nil {
		return nil, err
	}
	all, err := c.host.listStatuses(ctx, repo, commit)
	if err != nil {
		return nil, err
	}
	checks, err := c.host.listChecks(ctx, repo, commit)
	var e *Error
	if err != nil && (!errors.As(err, &e) || e.Reason != Forbidden) {
		return nil, err
	}
	return newest(append(all, checks...)), nil
}

// newest keeps the first of each context.
func newest(all []Status) []Status {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Status) int { return cmp.Compare(a.Context, b.Context) })
	return slices.CompactFunc(all, func(a, b Status) bool { return a.Context == b.Context })
}

// stateOf understands what all kinds call the states of statuses and check runs. What is not known to be good is not.
func stateOf(s string) StatusState {
	switch s {
	case "success", "neutral", "skipped":
		return Success
	case "", "pending", "running", "created", "queued", "in_progress", "waiting", "requested", "waiting_for_resource", "preparing", "scheduled", "manual":
		return Pending
	}
	return Failure
}
