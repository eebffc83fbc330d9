package controller

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/proxy/controller/inbox"
	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
)

const (
	readers    = 8                      // reads at a time
	retryReads = 500 * time.Millisecond // after one that did not work
)

// naming are the kinds that name Secrets and ConfigMaps.
var naming = map[kube.Kind]bool{kube.Gateway: true, kube.ListenerSet: true, kube.BackendTLSPolicy: true}

// contents reads the Secrets and ConfigMaps that something names. What it is told and what it read go to the same inbox, an
// object together with what it names, so that no step sees one without the other.
type contents struct {
	reader client.Reader // not a cache
	log    *slog.Logger
	todo   *inbox.Inbox
	done   *inbox.Inbox
	named  incr.Relation[kube.Ref, kube.Ref] // by what names it
}

// concerns tells whether changes of a kind come here first.
func (c *contents) concerns(k kube.Kind) bool { return naming[k] || onDemand[k] }

// run works until ctx ends.
func (c *contents) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.todo.Wake():
		}
		c.catchUp(ctx)
	}
}

// catchUp works for what there is now, again and again until that is done or ctx ends.
func (c *contents) catchUp(ctx context.Context) {
	for {
		err := c.work(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		c.log.Warn("reading what objects name", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryReads):
		}
	}
}

// work reads for everything there is to do. After an error it is all still there.
func (c *contents) work(ctx context.Context) error {
	batch, point := c.todo.Take()
	var reads, dropped incr.Set[kube.Ref]
	out := make([]kube.Change, 0, len(batch))
	for _, change := range batch {
		ref := kube.Ref{Kind: change.Kind, Name: change.Name}
		if onDemand[change.Kind] {
			if c.named.Used(ref) {
				reads.Add(ref)
			}
			continue
		}
		var names []kube.Ref
		if change.Object != nil {
			names = kube.Contents(change.Kind, change.Object)
		}
		added, removed := c.named.Put(ref, names)
		reads.Add(added...)
		dropped.Add(removed...)
		out = append(out, change)
	}
	// Only now it is known what nothing names any more: another object of the batch may have taken it over.
	for _, r := range dropped.Sorted(kube.CompareRefs) {
		if !c.named.Used(r) {
			out = append(out, kube.Change{Kind: r.Kind, Name: r.Name})
		}
	}
	read, err := c.readAll(ctx, reads.Sorted(kube.CompareRefs))
	if err != nil {
		c.forget(batch)
		c.todo.PutBack(batch)
		return err
	}
	c.done.PutUpTo(point, slices.Concat(read, out)...)
	return nil
}

// forget has everything that the objects of a batch name read again.
func (c *contents) forget(batch []kube.Change) {
	for _, change := range batch {
		if !onDemand[change.Kind] {
			c.named.Put(kube.Ref{Kind: change.Kind, Name: change.Name}, nil)
		}
	}
}

// readAll reads objects; those that do not exist are gone.
func (c *contents) readAll(ctx context.Context, refs []kube.Ref) ([]kube.Change, error) {
	out := make([]kube.Change, len(refs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, ref := range refs {
		group.Go(func() error {
			o := kube.New(ref.Kind)
			switch err := c.reader.Get(ctx, ref.Name, o); {
			case apierrors.IsNotFound(err):
				out[i] = kube.Change{Kind: ref.Kind, Name: ref.Name}
			case apierrors.IsForbidden(err):
				// Waiting would hold up everybody else: what may not be read is not there.
				c.log.Warn("what an object names may not be read", "kind", ref.Kind.String(), "name", ref.Name.String(), "error", err)
				out[i] = kube.Change{Kind: ref.Kind, Name: ref.Name}
			case err != nil:
				return fmt.Errorf("reading %s %s: %w", ref.Kind, ref.Name, err)
			default:
				out[i] = kube.ChangeOf(ref.Kind, o)
			}
			return nil
		})
	}
	return out, group.Wait()
}
