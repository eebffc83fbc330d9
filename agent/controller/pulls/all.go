package pulls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"headgate.dev/agent"
	"headgate.dev/agent/forge"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

// Config is what All is made from. All but Comment and Cluster are required.
type Config struct {
	Manager  manager.Manager
	Log      *slog.Logger
	Recorder events.EventRecorder
	// Follows tells whether the objects of a namespace are this agent's.
	Follows func(namespace string) bool
	// Connect gives the host of a Sync and the repository there.
	Connect func(ctx context.Context, s *schema.Sync) (Host, string, error)
	// Reader is the cluster as the account of a Sync sees it, World has the repositories.
	Reader func(s *schema.Sync) (agent.Reader, error)
	World  *agent.World
	// Status gives what was written last into the status of a Sync, SetStatus writes what f makes of it.
	Status    func(ctx context.Context, s *schema.Sync) schema.SyncStatus
	SetStatus func(ctx context.Context, s *schema.Sync, f func(*schema.SyncStatus)) error
	// Turn waits until a host may be asked for something that is in no hurry; the function gives the turn back.
	Turn func(ctx context.Context) (func(), error)
	// Comment is that of World. May be nil.
	Comment func(context.Context, agent.PreviewReport) (string, error)
	// Cluster is that of World.
	Cluster string
}

// All has a follower for each Sync with previews.
type All struct {
	config Config // constant
	client client.Client
	ready  chan struct{} // closed once all Previews are known

	mu        sync.Mutex // guards what follows
	ctx       context.Context
	followers map[plan.Owner]*followed
}

// followed is the follower of one Sync.
type followed struct {
	*Follower
	uid  types.UID
	stop context.CancelFunc
	hint string // the annotation AnnotationHint that was acted on last
}

// NewAll makes All. It makes no call.
func NewAll(c Config) *All {
	return &All{config: c, client: c.Manager.GetClient(), ready: make(chan struct{}), followers: map[plan.Owner]*followed{}}
}

// lookAgain is the time between two looks for the kind Preview where the API server does not serve it.
const lookAgain = 5 * time.Second

// Begin is for before the first Sync is seen: followers end with ctx.
func (p *All) Begin(ctx context.Context) {
	p.mu.Lock()
	p.ctx = ctx
	p.mu.Unlock()
	go p.run(ctx)
}

// run learns which Previews there are, and lets the followers begin.
func (p *All) run(ctx context.Context) {
	for {
		err := p.watch(ctx)
		if err == nil {
			close(p.ready)
			return
		}
		p.config.Log.Debug("pull requests are not looked for yet", "error", err)
		select { // the end; the next look
		case <-ctx.Done():
			return
		case <-time.After(lookAgain):
		}
	}
}

func (p *All) watch(ctx context.Context) error {
	kind := k8sschema.GroupKind{Group: schema.Group, Kind: schema.KindPreview}
	if _, err := p.config.Manager.GetRESTMapper().RESTMapping(kind, "v1alpha1"); err != nil {
		return err
	}
	informer, err := p.config.Manager.GetCache().GetInformer(ctx, &schema.Preview{})
	if err != nil {
		return fmt.Errorf("watching Previews: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: p.previewSeen, DeleteFunc: p.previewGone,
		UpdateFunc: func(old, o any) {
			before, now := old.(*schema.Preview), o.(*schema.Preview)
			if before.Generation != now.Generation || before.UID != now.UID || (before.DeletionTimestamp == nil) != (now.DeletionTimestamp == nil) {
				p.previewSeen(o)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watching Previews: %w", err)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return errors.New("watching Previews: they could not be read")
	}
	return nil
}

// previewSeen is told a Preview that is new, says something else, or goes.
func (p *All) previewSeen(o any) {
	if v, ok := o.(*schema.Preview); ok {
		f := p.of(plan.Owner{Namespace: v.Namespace, Name: v.Spec.Sync})
		switch {
		case f == nil:
		case v.DeletionTimestamp != nil:
			f.Ending(v)
		default:
			f.Changed()
		}
	}
}

// previewGone is told a Preview that is no more.
func (p *All) previewGone(o any) {
	if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	if v, ok := o.(*schema.Preview); ok {
		if f := p.of(plan.Owner{Namespace: v.Namespace, Name: v.Spec.Sync}); f != nil {
			f.Ending(v)
		}
	}
}

func (p *All) of(owner plan.Owner) *followed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.followers[owner]
}

// Seen is told a Sync as it is now.
func (p *All) Seen(o any) {
	s, ok := o.(*schema.Sync)
	if !ok || !p.config.Follows(s.Namespace) {
		return
	}
	owner := ownerOf(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.followers[owner]
	if f != nil && f.uid != s.UID {
		f.stop()
		f = nil
	}
	switch {
	case f != nil:
		f.Take(s)
		if hint := s.Annotations[AnnotationHint]; hint != f.hint {
			f.hint = hint
			f.passed(hint)
		}
	case s.Spec.Previews != nil:
		p.followers[owner] = p.follow(s)
	}
}

// passed takes a hint that another replica passed on.
func (f *followed) passed(text string) {
	var h passedHint
	if json.Unmarshal([]byte(text), &h) == nil {
		f.Hint(forge.Hint{PullRequests: h.Numbers, Pulls: h.Pulls, Refs: h.Refs, Statuses: h.Statuses, More: h.More})
	}
}

// passedHint is the part of a hint that a replica passes on. At makes it another one each time.
type passedHint struct {
	At       time.Time        `json:"at"`
	Numbers  []int            `json:"numbers,omitempty"`
	Pulls    []forge.PullHint `json:"pulls,omitempty"`
	Refs     []forge.RefHint  `json:"refs,omitempty"`
	Statuses []string         `json:"statuses,omitempty"`
	More     bool             `json:"more,omitempty"`
}

// longestHint is how many bytes of an annotation a hint may be; one that is longer asks for everything.
const longestHint = 16 << 10

// follow starts the follower of a Sync.
func (p *All) follow(s *schema.Sync) *followed {
	c := &p.config
	ctx, stop := context.WithCancel(p.ctx)
	f := &followed{uid: s.UID, stop: stop, hint: s.Annotations[AnnotationHint]}
	f.Follower = New(World{Connect: c.Connect, Repository: p.repository, Store: store{p}, Turn: c.Turn, Comment: c.Comment, Cluster: c.Cluster,
		Now: time.Now, Jitter: rand.Float64, Log: c.Log.With("sync", s.Namespace+"/"+s.Name)}, s)
	go func() {
		select { // the end; the beginning
		case <-ctx.Done():
		case <-p.ready:
			f.Run(ctx)
		}
	}()
	return f
}

// repository opens the repository of a Sync, with a store that nobody fetches files into, so that a list waits for no fetch.
func (p *All) repository(ctx context.Context, s *schema.Sync) (Repository, error) {
	reader, err := p.config.Reader(s)
	if err != nil {
		return nil, err
	}
	s = s.DeepCopy()
	s.Spec.Ref, s.Spec.Pin = nil, ""
	src, err := agent.ReadSource(ctx, s, reader)
	if err != nil {
		return nil, err
	}
	src.Limits = p.config.World.Limits
	return p.config.World.Repositories.Use(src, "branches")
}

// Gone is told a Sync that is no more.
func (p *All) Gone(o any) {
	if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	s, ok := o.(*schema.Sync)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.followers[ownerOf(s)]; f != nil {
		f.stop()
		delete(p.followers, ownerOf(s))
	}
}

// Poll has the host of a Sync asked for everything, as when a Secret that it names is another one.
func (p *All) Poll(owner plan.Owner) {
	if f := p.of(owner); f != nil {
		f.Poll()
	}
}

// Hint hands over what webhooks said of the repository of a Sync. It is for the replica that leads.
func (p *All) Hint(owner plan.Owner, h forge.Hint) {
	if f := p.of(owner); f != nil {
		f.Hint(h)
	}
}

// Previewed takes how a preview is doing, to be told on its pull request.
func (p *All) Previewed(r agent.PreviewReport) {
	if f := p.of(r.Sync); f != nil {
		f.Report(r)
	}
}

// Tells tells whether a hint says anything of pull requests.
func Tells(h forge.Hint) bool { return len(h.PullRequests)+len(h.Refs)+len(h.Statuses) > 0 || h.More }

// PassOn gives a hint to the replica that leads, by an annotation of the Sync.
func PassOn(ctx context.Context, c client.Client, s *schema.Sync, h forge.Hint) error {
	p := passedHint{At: time.Now().UTC(), Numbers: h.PullRequests, Pulls: h.Pulls, Refs: h.Refs, Statuses: h.Statuses, More: h.More}
	text, err := json.Marshal(p)
	if err != nil || len(text) > longestHint {
		if text, err = json.Marshal(passedHint{At: p.At, More: true}); err != nil {
			return err
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{AnnotationHint: string(text)}}})
	if err != nil {
		return err
	}
	return client.IgnoreNotFound(c.Patch(ctx, s.DeepCopy(), client.RawPatch(types.MergePatchType, patch)))
}

func ownerOf(s *schema.Sync) plan.Owner { return plan.Owner{Namespace: s.Namespace, Name: s.Name} }
