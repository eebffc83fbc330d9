package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/agent"
	"headgate.dev/agent/forge"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

const (
	// patience is how long a commit that a hook named is looked for, first after firstPause and then twice as long each time, up to longestPause.
	patience     = time.Minute
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

// hooks takes the webhooks of all Syncs. Every replica does; one that does not lead passes a hint on by the annotation with which anybody may ask for a
// look, since the one that leads sees it in its cache a moment later.
type hooks struct {
	agent    *Agent
	address  string
	receiver *forge.Receiver
	queue    workqueue.TypedRateLimitingInterface[plan.Owner] // Syncs whose hook may be another one

	mu       sync.Mutex // guards what follows
	known    map[plan.Owner]forge.Hook
	pursuits map[plan.Owner]context.CancelFunc
}

func newHooks(a *Agent, address string) *hooks {
	h := &hooks{agent: a, address: address, known: map[plan.Owner]forge.Hook{}, pursuits: map[plan.Owner]context.CancelFunc{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[plan.Owner]())}
	h.receiver = forge.NewReceiver(forge.ReceiverOptions{Refused: func(hook string, status int, why string) {
		hooksTaken.WithLabelValues("refused").Inc()
		a.log.Debug("a webhook was refused", "hook", hook, "status", status, "why", why)
	}})
	return h
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (h *hooks) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable: it serves until ctx ends.
func (h *hooks) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", h.address)
	if err != nil {
		return fmt.Errorf("listening for webhooks: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(hookPrefix, http.StripPrefix(strings.TrimSuffix(hookPrefix, "/"), h.receiver))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	defer h.queue.ShutDown()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	go h.receiver.Run(ctx, func(hint forge.Hint) { go h.take(ctx, hint) })
	go h.follow(ctx)
	select { // the end; the server's
	case <-ctx.Done():
	case err := <-ended:
		return fmt.Errorf("serving webhooks: %w", err)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		_ = server.Close() // whoever still sends is cut off
	}
	return nil
}

// follow keeps the hooks as the Syncs want them.
func (h *hooks) follow(ctx context.Context) {
	if !h.agent.awaitKind(ctx) {
		return
	}
	if err := h.watch(ctx); err != nil {
		h.agent.log.Error("watching Syncs for their webhooks", "error", err)
		return
	}
	go func() {
		select { // the end; from now on statuses are ours to write
		case <-ctx.Done():
		case <-h.agent.manager.Elected():
			h.again(func(*schema.Sync) bool { return true })
		}
	}()
	for {
		owner, ended := h.queue.Get()
		if ended {
			return
		}
		if err := h.refresh(ctx, owner); err != nil && ctx.Err() == nil {
			h.agent.log.Warn("reading what the webhooks of a Sync are signed with", "sync", owner.String(), "error", err)
			h.queue.AddRateLimited(owner)
		} else {
			h.queue.Forget(owner)
		}
		h.queue.Done(owner)
	}
}

func (h *hooks) watch(ctx context.Context) error {
	informer, err := h.agent.manager.GetCache().GetInformer(ctx, &schema.Sync{})
	if err != nil {
		return err
	}
	add := func(o any) {
		if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
			o = unknown.Obj
		}
		if s, ok := o.(*schema.Sync); ok {
			h.queue.Add(ownerOf(s))
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: add, DeleteFunc: add, UpdateFunc: func(old, o any) {
		if before, ok := old.(*schema.Sync); ok && before.Generation == o.(*schema.Sync).Generation && before.UID == o.(*schema.Sync).UID {
			return
		}
		add(o)
	}})
	if err != nil {
		return err
	}
	secrets := &metav1.PartialObjectMetadata{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	_, err = h.agent.follow(ctx, secrets, func(o, _ client.Object) {
		h.again(func(s *schema.Sync) bool {
			ref := hookSecret(s)
			return ref != nil && ref.Name == o.GetName() && s.Namespace == o.GetNamespace()
		})
	})
	return err
}

func hookSecret(s *schema.Sync) *schema.SyncSecret {
	if s.Spec.Forge == nil {
		return nil
	}
	return s.Spec.Forge.HookSecretRef
}

// again has the hooks of some Syncs looked at.
func (h *hooks) again(which func(*schema.Sync) bool) {
	var all schema.SyncList
	if err := h.agent.client.List(context.Background(), &all); err != nil { // the cache's
		h.agent.log.Warn("listing Syncs", "error", err)
		return
	}
	for i := range all.Items {
		if which(&all.Items[i]) {
			h.queue.Add(ownerOf(&all.Items[i]))
		}
	}
}

// refresh makes the hook of one Sync what it should be. The error passes.
func (h *hooks) refresh(ctx context.Context, owner plan.Owner) error {
	s := &schema.Sync{}
	err := h.agent.client.Get(ctx, client.ObjectKey{Namespace: owner.Namespace, Name: owner.Name}, s)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err != nil || !h.agent.follows(s.Namespace) || s.DeletionTimestamp != nil {
		return h.set(owner, nil)
	}
	hook, message, err := h.read(ctx, s)
	if err != nil {
		return err
	}
	if err := h.set(owner, hook); err != nil {
		message = err.Error()
	}
	return h.tell(ctx, s, hook, message)
}

// read gives the hook that a Sync wants; nil, perhaps with a message, where there is none.
func (h *hooks) read(ctx context.Context, s *schema.Sync) (*forge.Hook, string, error) {
	ref := hookSecret(s)
	if ref == nil {
		return nil, "", nil
	}
	reader, err := h.agent.reader(s)
	if err != nil {
		return nil, err.Error(), nil
	}
	data, err := reader.Secret(ctx, s.Namespace, ref.Name)
	if err != nil {
		problem := agent.Missing("forge.hookSecretRef", "Secret", ref.Name, err)
		if !problem.Stalled {
			return nil, "", err
		}
		return nil, problem.Message, nil
	}
	hook, message := hookOf(s, data)
	if message != "" {
		return nil, fmt.Sprintf("spec.forge.hookSecretRef: Secret %s: %s", ref.Name, message), nil
	}
	return &hook, "", nil
}

// set gives the receiver all hooks, with one that is new or is no more.
func (h *hooks) set(owner plan.Owner, hook *forge.Hook) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.known, owner)
	if hook != nil {
		h.known[owner] = *hook
	} else if stop := h.pursuits[owner]; stop != nil {
		stop()
		delete(h.pursuits, owner)
	}
	return h.receiver.SetHooks(slices.Collect(maps.Values(h.known)))
}

// tell writes into the status where hooks go, if that is ours to write.
func (h *hooks) tell(ctx context.Context, s *schema.Sync, hook *forge.Hook, message string) error {
	if !h.agent.leads() {
		return nil
	}
	_, _, err := h.agent.statuses.Update(ctx, s, func(status *schema.SyncStatus) {
		next := forgeStatus(status)
		next.HookPath, next.HookMessage = "", truncate(message)
		if hook != nil {
			next.HookPath = hookPrefix + hook.Path
		}
		status.Forge = nil
		if *next != (schema.SyncForgeStatus{}) {
			status.Forge = next
		}
	})
	return err
}

// forgeStatus is a copy of the part about the host, never nil.
func forgeStatus(status *schema.SyncStatus) *schema.SyncForgeStatus {
	if status.Forge == nil {
		return &schema.SyncForgeStatus{}
	}
	return status.Forge.DeepCopy()
}

// take acts on a hint: the Sync whose hook it came by is looked at, and those of the same repository, so that one webhook for a repository is enough.
func (h *hooks) take(ctx context.Context, hint forge.Hint) {
	hooksTaken.WithLabelValues("taken").Add(float64(hint.Hooks))
	var all schema.SyncList
	if err := h.agent.client.List(ctx, &all); err != nil {
		h.agent.log.Warn("listing Syncs", "error", err)
		return
	}
	mine := slices.IndexFunc(all.Items, func(s schema.Sync) bool { return s.Namespace+"/"+s.Name == hint.Hook })
	if mine < 0 {
		return
	}
	key := forge.Key(all.Items[mine].Spec.URL)
	for i := range all.Items {
		s := &all.Items[i]
		if i != mine && forge.Key(s.Spec.URL) != key || !h.agent.follows(s.Namespace) {
			continue
		}
		h.hint(ctx, s, hint)
		r := heard(s, hint)
		h.agent.log.Debug("a webhook", "hook", hint.Hook, "sync", ownerOf(s).String(), "hooks", hint.Hooks, "refs", hint.Refs, "concerned", r.concerned)
		switch {
		case !r.concerned:
		case h.agent.leads():
			go h.pursue(ctx, s, r, agent.Trigger{At: h.agent.now(), Hooked: hint.First, Pushed: pushedAt(hint)})
		default:
			h.passOn(ctx, s)
		}
	}
}

// passOn asks the replica that leads for a look.
func (h *hooks) passOn(ctx context.Context, s *schema.Sync) {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, schema.ReconcileRequest, h.agent.now().UTC().Format(time.RFC3339Nano))
	if err := h.agent.client.Patch(ctx, s.DeepCopy(), client.RawPatch(types.MergePatchType, patch)); client.IgnoreNotFound(err) != nil {
		h.agent.log.Warn("passing a webhook on", "sync", ownerOf(s).String(), "error", err)
	}
}

// pursue has a Sync looked at, and again until the commit that the hook named is there, or another one than before: a hook can be faster than the host's
// own storage.
func (h *hooks) pursue(ctx context.Context, s *schema.Sync, r rumour, t agent.Trigger) {
	owner := ownerOf(s)
	before := h.agent.attempted(ctx, s)
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	h.mu.Lock()
	if other := h.pursuits[owner]; other != nil {
		other() // what it looked for may have been overtaken
	}
	h.pursuits[owner] = stop
	h.mu.Unlock()
	h.agent.Enqueue(owner, t)
	if r.commit == "" || r.commit == before {
		return
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		select { // the end, or another hook; the next look
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				h.agent.log.Info("a commit that a webhook named has not appeared", "sync", owner.String(), "commit", r.commit)
			}
			return
		case <-time.After(pause):
		}
		if h.agent.attempted(ctx, s) != before {
			return
		}
		t.At = h.agent.now()
		h.agent.Enqueue(owner, t)
	}
}

// attempted is the id of the commit that was tried last.
func (a *Agent) attempted(ctx context.Context, s *schema.Sync) string {
	status := a.statuses.Get(ctx, s)
	return status.AttemptedRevision[strings.LastIndexByte(status.AttemptedRevision, ':')+1:]
}

// leads tells whether this replica is the one that follows Syncs.
func (a *Agent) leads() bool {
	select {
	case <-a.manager.Elected():
		return true
	default:
		return false
	}
}

// follows tells whether the Syncs of a namespace are followed.
func (a *Agent) follows(namespace string) bool {
	return len(a.options.Only) == 0 || slices.Contains(a.options.Only, namespace)
}
