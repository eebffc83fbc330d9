package controller

import (
	"context"
	"slices"

	"headgate.dev/agent"
	"headgate.dev/agent/controller/pulls"
	"headgate.dev/agent/forge"
	"headgate.dev/agent/git"
	"headgate.dev/schema"
)

func (a *Agent) pullsConfig() pulls.Config {
	return pulls.Config{
		Manager: a.manager, Log: a.log, Recorder: a.recorder, Follows: a.follows, Status: a.statuses.Get, Turn: a.turnToTell,
		Comment: a.options.Comment, Cluster: a.options.Cluster,
		Connect:    func(ctx context.Context, s *schema.Sync) (pulls.Host, string, error) { return a.Forge(ctx, s) },
		Repository: a.branches,
		SetStatus: func(ctx context.Context, s *schema.Sync, f func(*schema.SyncStatus)) error {
			_, _, err := a.statuses.Update(ctx, s, f)
			return err
		},
	}
}

// branches opens the repository of a Sync, with a store that nobody fetches files into, so that a list waits for no fetch.
func (a *Agent) branches(ctx context.Context, s *schema.Sync) (pulls.Repository, error) {
	reader, err := a.reader(s)
	if err != nil {
		return nil, err
	}
	src, err := agent.ReadSource(ctx, s, reader)
	if err != nil {
		return nil, err
	}
	src.Ref, src.Limits = git.Ref{}, a.world.Limits
	return a.world.Repositories.Use(src, "branches")
}

// turnToTell waits until another request to a Git host may be made; the function gives the turn back.
func (a *Agent) turnToTell(ctx context.Context) (func(), error) {
	select {
	case a.telling <- struct{}{}:
		return func() { <-a.telling }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// hint hands over what webhooks said of the pull requests of a Sync's repository.
func (h *hooks) hint(ctx context.Context, s *schema.Sync, hint forge.Hint) {
	switch {
	case s.Spec.Previews == nil || !pulls.Tells(hint):
	case len(hint.Repository) > 0 && !slices.ContainsFunc(hint.Repository, func(u string) bool { return sameRepository(u, s.Spec.URL) }):
	case h.agent.leads():
		h.agent.pulls.Hint(ownerOf(s), hint)
	default:
		if err := pulls.PassOn(ctx, h.agent.client, s, hint); err != nil {
			h.agent.log.Warn("passing a webhook on", "sync", ownerOf(s).String(), "error", err)
		}
	}
}
