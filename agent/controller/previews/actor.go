package previews

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/agent"
	"headgate.dev/agent/pace"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

const (
	// Finalizer keeps a Preview until all that it is made of is removed.
	Finalizer = "headgate.dev/preview"
	// AnnotationAccount on a Preview names the service account as which it is made and removed.
	AnnotationAccount = "headgate.dev/preview-account"
)

// anew is the time between two looks at everything that a preview is made of, for what somebody else changed.
const anew = 10 * time.Minute

// usualTimeout bounds the end of a preview whose Sync is gone.
const usualTimeout = 5 * time.Minute

// actor is the goroutine of one preview. It owns the driver; everybody else leaves a note.
type actor struct {
	owner, of plan.Owner // constant: of what it is made of; its Sync
	all       *Previews
	driver    *agent.PreviewDriver
	log       *slog.Logger
	stop      context.CancelFunc
	ended     chan struct{} // closed at the end
	wake      chan struct{} // has room for one: there is a note

	mu      sync.Mutex // guards what follows
	preview *schema.Preview
	busy    context.CancelFunc // ends the look that is under way; nil when none is

	// of the goroutine alone
	failures int
	looked   time.Time             // when everything was looked at last
	written  *schema.PreviewStatus // nil: not by this process
	told     telling
}

// newActor starts the goroutine of a preview. It begins when all are known and after is closed.
func newActor(p *Previews, o *schema.Preview, after <-chan struct{}) *actor {
	ctx, stop := context.WithCancel(p.ctx)
	x := &actor{
		owner: ownerOf(o), of: plan.Owner{Namespace: o.Namespace, Name: o.Spec.Sync}, all: p, stop: stop, preview: o,
		log: p.config.Log.With("preview", o.Namespace+"/"+o.Name), ended: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	x.told.begin(&o.Status)
	x.driver = agent.NewPreviewDriver(p.shared, o, func(s *agent.PreviewStanding) { x.report(ctx, s) })
	var hosts []string
	for _, s := range o.Status.Sites {
		if s.Host != "" {
			hosts = append(hosts, s.Host)
		}
	}
	p.shared.Claim(x.owner, hosts) // before anybody else may want them
	x.leave()
	go x.run(ctx, after)
	return x
}

// leave leaves a note that there is something to do.
func (x *actor) leave() {
	select {
	case x.wake <- struct{}{}:
	default: // it will see this note with the one before
	}
}

// update hands over the Preview as it is now. One that says something else, or is being deleted, ends the look that is under way.
func (x *actor) update(o *schema.Preview) {
	x.mu.Lock()
	defer x.mu.Unlock()
	before := x.preview
	x.preview = o
	if o.Generation == before.Generation && (o.DeletionTimestamp == nil) == (before.DeletionTimestamp == nil) {
		return
	}
	if x.busy != nil {
		x.busy()
	}
	x.leave()
}

func (x *actor) uid() types.UID {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.preview.UID
}

// run makes the preview until ctx ends.
func (x *actor) run(ctx context.Context, after <-chan struct{}) {
	defer close(x.ended)
	if after != nil {
		<-after
	}
	defer func() {
		if err := x.driver.Close(); err != nil {
			x.log.Warn("closing the repository", "error", err)
		}
	}()
	select {
	case <-x.all.ready:
	case <-ctx.Done():
		return
	}
	next := time.NewTimer(anew)
	defer next.Stop()
	for {
		select { // the end; a note; the time; what has happened after an apply
		case <-ctx.Done():
			return
		case <-x.wake:
		case <-next.C:
		case n := <-x.driver.News():
			x.driver.Settle(n)
			continue
		}
		next.Reset(x.look(ctx))
	}
}

// look does what there is to do, and says how long to wait for the next look.
func (x *actor) look(ctx context.Context) time.Duration {
	x.mu.Lock()
	o := x.preview
	ctx, x.busy = context.WithCancel(ctx)
	stop := x.busy
	x.mu.Unlock()
	defer stop()
	s, err := x.all.config.Sync(x.of)
	if err != nil {
		return x.again("reading the Sync", err)
	}
	if o.DeletionTimestamp != nil {
		return x.delete(ctx, o, s)
	}
	if s != nil && s.Spec.Previews != nil {
		if err := x.hold(ctx, o, s); err != nil {
			return x.again("taking hold of the Preview", err)
		}
	}
	of := agent.PreviewOf{Sync: s, Production: x.all.config.Production(x.of), Account: o.Annotations[AnnotationAccount]}
	if now := time.Now(); now.Sub(x.looked) >= anew {
		x.looked, of.Anew = now, true
	}
	problem := x.driver.Look(ctx, o, of)
	if problem == nil || problem.Stalled {
		x.failures = 0
		return pace.Spread(anew, rand.Float64())
	}
	x.failures++
	return pace.Backoff(x.failures, 0, rand.Float64())
}

// again says how long to wait after something went wrong that is not the preview's.
func (x *actor) again(doing string, err error) time.Duration {
	x.log.Debug(doing, "error", err)
	x.failures++
	return pace.Backoff(x.failures, 0, rand.Float64())
}

// hold puts the finalizer on a Preview, and who is to remove it, before anything is written for it.
func (x *actor) hold(ctx context.Context, o *schema.Preview, s *schema.Sync) error {
	account, err := agent.PreviewAccount(s, x.all.config.World.DefaultAccount)
	if err != nil {
		return nil // said when it is looked at
	}
	if slices.Contains(o.Finalizers, Finalizer) && o.Annotations[AnnotationAccount] == account {
		return nil
	}
	metadata := map[string]any{"resourceVersion": o.ResourceVersion, "annotations": map[string]any{AnnotationAccount: account}}
	if !slices.Contains(o.Finalizers, Finalizer) {
		metadata["finalizers"] = append(slices.Clone(o.Finalizers), Finalizer)
	}
	return x.patch(ctx, o, metadata)
}

// letGo takes the finalizer away.
func (x *actor) letGo(ctx context.Context, o *schema.Preview) error {
	rest := slices.DeleteFunc(slices.Clone(o.Finalizers), func(f string) bool { return f == Finalizer })
	return client.IgnoreNotFound(x.patch(ctx, o, map[string]any{"resourceVersion": o.ResourceVersion, "finalizers": rest}))
}

// patch changes the metadata of a Preview, if it is still the one that was read.
func (x *actor) patch(ctx context.Context, o *schema.Preview, metadata map[string]any) error {
	data, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return err
	}
	target := &schema.Preview{}
	target.Namespace, target.Name = o.Namespace, o.Name
	if err := x.all.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, data)); err != nil {
		return fmt.Errorf("writing the metadata of Preview %s/%s: %w", o.Namespace, o.Name, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.preview.UID == target.UID && x.preview.ResourceVersion == o.ResourceVersion {
		x.preview = target // until the watch gives a newer one
	}
	return nil
}

// delete removes all that the preview is made of, and lets the object go.
func (x *actor) delete(ctx context.Context, o *schema.Preview, s *schema.Sync) time.Duration {
	if !slices.Contains(o.Finalizers, Finalizer) {
		return time.Hour
	}
	limit := usualTimeout
	if s != nil {
		limit = agent.Timeout(s)
	}
	limit = min(limit, x.all.config.Patience(ctx, o.Namespace))
	done, problem := x.driver.Delete(ctx, o, o.Annotations[AnnotationAccount], limit)
	if problem != nil && (done || x.failures == 0) {
		x.event(o, corev1.EventTypeWarning, "NotRemoved", "Delete", problem.Message)
		x.log.Warn("removing a preview", "problem", problem.Message, "done", done)
	}
	if done {
		err := x.letGo(ctx, o)
		if err == nil {
			return time.Hour
		}
		x.log.Debug("letting the Preview go", "error", err)
	}
	x.failures++
	return pace.Backoff(x.failures, 0, rand.Float64())
}
