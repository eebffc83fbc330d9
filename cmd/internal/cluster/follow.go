package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/cmd/internal/syncs"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// waitFlags are those of commands that may wait until what they asked for is live.
type waitFlags struct {
	Flags
	wait    bool
	timeout time.Duration
}

func (f *waitFlags) addWait(c *cobra.Command) {
	c.Flags().BoolVar(&f.wait, "wait", false, "wait until it is live on every Envoy; the exit code says whether it is")
	c.Flags().DurationVar(&f.timeout, "timeout", 5*time.Minute, "how long to wait")
}

// rewatch is the pause before a watch that ended is begun again.
const rewatch = time.Second

// follow tells how a Sync gets on until what progress waits for has come to an end. The Sync is as it was read last.
func (c *connection) follow(ctx context.Context, s *schema.Sync, progress *syncs.Progress, limit time.Duration) error {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	last := "nobody has acted on it yet"
	for {
		lines, outcome := progress.Next(c.program.teller(), s)
		for _, line := range lines {
			last = line
			fmt.Fprint(c.program.Out, term.Fit(0, [][]string{{line}}))
		}
		switch outcome {
		case syncs.Done:
			return nil
		case syncs.Failed:
			return ErrNotLive
		}
		next, err := c.change(ctx, s)
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return fmt.Errorf("waiting: Sync %s/%s is not live after %s (last: %s); it goes on in the cluster: %s status %s",
				s.Namespace, s.Name, limit, strings.Join(strings.Fields(last), " "), c.program.Name, syncs.Ref(s))
		case ctx.Err() != nil:
			return fmt.Errorf("no longer waiting; it goes on in the cluster: %s status %s", c.program.Name, syncs.Ref(s))
		case err != nil:
			return err
		}
		s = next
	}
}

// change waits until a Sync is not what it was, and gives it.
func (c *connection) change(ctx context.Context, s *schema.Sync) (*schema.Sync, error) {
	version := s.ResourceVersion
	for {
		next, err := c.watchOnce(ctx, s, version)
		if next != nil || err != nil {
			return next, err
		}
		select { // the end; another try, from what is there now
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(rewatch):
		}
		fresh := &schema.Sync{}
		if err := c.Get(ctx, client.ObjectKeyFromObject(s), fresh); err != nil {
			if ctx.Err() == nil && client.IgnoreNotFound(err) == nil {
				return nil, &NotFoundError{fmt.Sprintf("Sync %s/%s was deleted", s.Namespace, s.Name)}
			}
			continue // an API server that is away for a moment comes back; the timeout bounds it
		}
		if fresh.ResourceVersion != version {
			return fresh, nil
		}
	}
}

// watchOnce gives the next state of a Sync; nil when the watch ended before it came.
func (c *connection) watchOnce(ctx context.Context, s *schema.Sync, version string) (*schema.Sync, error) {
	w, err := c.Watch(ctx, &schema.SyncList{}, client.InNamespace(s.Namespace),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", s.Name)},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}})
	if err != nil {
		return nil, nil //nolint:nilerr // it is read anew, and asked again
	}
	defer w.Stop()
	for {
		select { // the end; an event
		case <-ctx.Done():
			return nil, ctx.Err()
		case e, open := <-w.ResultChan():
			next, is := e.Object.(*schema.Sync)
			switch {
			case !open || !is:
				return nil, nil
			case e.Type == watch.Deleted:
				return nil, &NotFoundError{fmt.Sprintf("Sync %s/%s was deleted", s.Namespace, s.Name)}
			}
			return next, nil
		}
	}
}
