package controller

import (
	"context"
	"slices"

	"headgate.dev/agent/controller/pulls"
	"headgate.dev/agent/forge"
	"headgate.dev/schema"
)

func (a *Agent) pullsConfig() pulls.Config {
	return pulls.Config{
		Manager: a.manager, Log: a.log, Recorder: a.recorder, Follows: a.follows, Status: a.statuses.Get, Turn: a.turnToTell,
		Comment: a.options.Comment, Cluster: a.options.Cluster, Reader: a.reader, World: &a.world,
		Connect: func(ctx context.Context, s *schema.Sync) (pulls.Host, string, error) { return a.Forge(ctx, s) },
		SetStatus: func(ctx context.Context, s *schema.Sync, f func(*schema.SyncStatus)) error {
			_, _, err := a.statuses.Update(ctx, s, f)
			return err
		},
	}
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
