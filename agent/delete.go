package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headgate.dev/agent/apply"
	"headgate.dev/schema"
)

// Delete does with what a Sync that is being deleted owns what its deletionPolicy says. When it is done, whatever it was, the Sync may go; the problem is
// then what was left behind. A Sync is never kept for longer than its timeout and patience, whatever happens: what cannot be removed stays.
func (d *Driver) Delete(ctx context.Context, s *schema.Sync, patience time.Duration) (done bool, p *Problem) {
	d.take(s, &Trigger{})
	d.halt()
	if err := d.enter(); err != nil {
		if !errors.As(err, &p) {
			return false, &Problem{Reason: ReasonApply, Message: err.Error(), Err: err}
		}
		return true, nil // without an account it never wrote anything
	}
	limit := min(timeoutOf(s), patience)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := d.account.Remove(ctx, deletionOf(&s.Spec))
	if err == nil {
		return true, nil
	}
	p = &Problem{Reason: ReasonApply, Message: "removing what the Sync owns: " + err.Error(), Err: err}
	if since := s.DeletionTimestamp; since != nil && d.world.Now().Sub(since.Time) >= limit {
		p.Message = fmt.Sprintf("some of what the Sync owned stays, because it could not be removed within %s: %v", limit, err)
		return true, p
	}
	return false, p
}

// deletionOf says what happens to what a Sync owns. A suspended Sync does nothing any more, removing included.
func deletionOf(spec *schema.SyncSpec) apply.Deletion {
	policy := spec.DeletionPolicy
	if policy == "" || policy == schema.DeletionMirrorPrune {
		policy = schema.DeletionDelete
		if spec.Prune != nil && !*spec.Prune {
			policy = schema.DeletionOrphan
		}
	}
	switch {
	case spec.Suspend || policy == schema.DeletionOrphan:
		return apply.Orphan
	case policy == schema.DeletionWait:
		return apply.DeleteAndWait
	}
	return apply.Delete
}
