package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/agent/pace"
	"headgate.dev/schema"
)

// Finalizer keeps a Sync until what it owns has been dealt with.
const Finalizer = "headgate.dev/sync"

// hold puts the finalizer on a Sync, before anything is written for it.
func (a *Agent) hold(ctx context.Context, s *schema.Sync) error {
	if slices.Contains(s.Finalizers, Finalizer) {
		return nil
	}
	return a.setFinalizers(ctx, s, append(slices.Clone(s.Finalizers), Finalizer))
}

// letGo takes the finalizer away.
func (a *Agent) letGo(ctx context.Context, s *schema.Sync) error {
	rest := slices.DeleteFunc(slices.Clone(s.Finalizers), func(f string) bool { return f == Finalizer })
	return client.IgnoreNotFound(a.setFinalizers(ctx, s, rest))
}

// setFinalizers writes the list, if it is still the one that was read.
func (a *Agent) setFinalizers(ctx context.Context, s *schema.Sync, list []string) error {
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": list, "resourceVersion": s.ResourceVersion}})
	if err != nil {
		return err
	}
	target := &schema.Sync{}
	target.Namespace, target.Name = s.Namespace, s.Name
	if err := a.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, data)); err != nil {
		return fmt.Errorf("writing the finalizers of Sync %s/%s: %w", s.Namespace, s.Name, err)
	}
	return nil
}

// Patience with what cannot be removed: where the namespace goes as well, the account's rights may have gone first, and what is in the namespace goes anyway.
const (
	usualPatience = 24 * time.Hour
	lastPatience  = 10 * time.Second
)

func (a *Agent) patience(ctx context.Context, namespace string) time.Duration {
	var n corev1.Namespace
	if err := a.client.Get(ctx, client.ObjectKey{Name: namespace}, &n); err == nil && n.DeletionTimestamp != nil {
		return lastPatience
	}
	return usualPatience
}

// delete does what is to be done for a Sync that is being deleted, and says how long to wait before it is tried again.
func (x *actor) delete(ctx context.Context, s *schema.Sync) time.Duration {
	if !slices.Contains(s.Finalizers, Finalizer) {
		return time.Hour
	}
	done, problem := x.driver.Delete(ctx, s, x.agent.patience(ctx, s.Namespace))
	if problem != nil && (done || x.failures == 0) {
		x.agent.recorder.Eventf(s, nil, corev1.EventTypeWarning, "NotRemoved", "Delete", "%s", truncate(problem.Message))
		x.log.Warn("removing what the Sync owns", "problem", problem.Message, "done", done)
	}
	if done {
		err := x.agent.letGo(ctx, s)
		if err == nil {
			return time.Hour
		}
		x.log.Debug("letting the Sync go", "error", err)
	}
	x.failures++
	return pace.Backoff(x.failures, time.Second, x.agent.jitter())
}
