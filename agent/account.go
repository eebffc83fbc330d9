package agent

import (
	"context"

	"headgate.dev/agent/apply"
)

// Account is the cluster as the service account of a Sync may see and change it, for the objects of that Sync. See apply.Applier.
type Account interface {
	Reader
	// Apply makes the cluster hold what is wanted.
	Apply(ctx context.Context, request apply.Request) (*apply.Result, error)
	// Forget drops what is known of objects, so that the next apply reads it anew.
	Forget()
	// Await waits until every object is healthy or has failed, and gives those that are not healthy.
	Await(ctx context.Context, expected []apply.Expectation) ([]apply.Unwell, error)
	// Remove ends what the Sync owns.
	Remove(ctx context.Context, how apply.Deletion) (*apply.Result, error)
}
