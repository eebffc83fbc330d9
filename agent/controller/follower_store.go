package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/agent/drift"
	"headgate.dev/schema"
)

// What the ConfigMap of a Sync's drift holds: records for people and commands, the rest for the next process.
const (
	// DriftRecords is a drift.Snapshot as JSON.
	DriftRecords  = "records.json"
	driftOutbox   = "outbox.json"
	driftLags     = "lags.json"
	driftPreviews = "previews.json"
	// driftLimit is how many bytes of records are kept; a ConfigMap has 1 MiB at most.
	driftLimit = 512 << 10
)

// DriftConfigMap is the name of the ConfigMap with the drift records of a Sync.
func DriftConfigMap(sync string) string { return sync + "-drift" }

// load reads what a process before has left. What cannot be read is begun anew: then people may be told twice.
func (f *follower) load() *drift.Snapshot {
	ctx, cancel := context.WithTimeout(f.ctx, callTimeout)
	defer cancel()
	var m corev1.ConfigMap
	err := f.drifts.agent.manager.GetAPIReader().Get(ctx, client.ObjectKey{Namespace: f.owner.Namespace, Name: DriftConfigMap(f.owner.Name)}, &m)
	if client.IgnoreNotFound(err) != nil {
		f.log.Warn("reading the records of drift", "error", err)
	}
	if err != nil || !metav1.IsControlledBy(&m, f.sync) {
		return nil
	}
	var before drift.Snapshot
	for key, into := range map[string]any{DriftRecords: &before, driftOutbox: &f.outbox, driftLags: &f.lags, driftPreviews: &f.previews} {
		if text := m.Data[key]; text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				f.log.Warn("reading the records of drift", "key", key, "error", err)
			}
		}
	}
	return &before
}

// changed says that there is something to write.
func (f *follower) changed() { f.dirty, f.uncounted = true, true }

// save writes what is to outlive the process, and the status beside it: a record that comes up does not wait until the status tells of the one before. Of
// each there is one write after the other.
func (f *follower) save() {
	if !f.closed.IsZero() {
		return
	}
	if f.dirty && !f.saving {
		f.saveRecords()
	}
	if f.uncounted && !f.counting {
		f.saveStatus()
	}
}

func (f *follower) saveRecords() {
	data, err := f.data()
	if err != nil {
		f.log.Error("writing the records of drift", "error", err)
		return
	}
	f.dirty, f.saving = false, true
	s := f.sync
	f.write("writing the records of drift", func(ctx context.Context) error { return f.drifts.write(ctx, s, data) },
		func(err error) { f.saving, f.dirty = false, f.dirty || err != nil })
}

func (f *follower) saveStatus() {
	f.uncounted, f.counting = false, true
	status, s, trouble := f.status(), f.sync, f.outbox.Troubles()
	f.write("writing what a status says of drift", func(ctx context.Context) error {
		_, _, err := f.drifts.agent.statuses.Update(ctx, s, func(all *schema.SyncStatus) { all.Drift = status; troubles(all, trouble) })
		return err
	}, func(err error) { f.counting, f.uncounted = false, f.uncounted || err != nil })
}

// writeAgain is how long after a write that did not work the next one may be.
const writeAgain = time.Second

// write makes a write beside the goroutine, and has done what follows from its error.
func (f *follower) write(doing string, what func(context.Context) error, then func(error)) {
	go func() {
		ctx, cancel := context.WithTimeout(f.ctx, callTimeout)
		defer cancel()
		err := what(ctx)
		if err != nil && ctx.Err() == nil {
			f.log.Warn(doing, "error", err)
		}
		if err != nil {
			select { // the end; the next try
			case <-f.ctx.Done():
			case <-time.After(writeAgain):
			}
		}
		f.do(func() { then(err) })
	}()
}

// data is what is written.
func (f *follower) data() (map[string]string, error) {
	snapshot := f.state.Snapshot()
	records, err := json.Marshal(snapshot)
	for err == nil && len(records) > driftLimit && len(snapshot.Records) > 0 { // the oldest go first
		snapshot.Records = snapshot.Records[:len(snapshot.Records)*9/10]
		records, err = json.Marshal(snapshot)
	}
	if err != nil {
		return nil, err
	}
	out := map[string]string{DriftRecords: string(records)}
	for key, what := range map[string]any{driftOutbox: f.outbox, driftLags: f.lags, driftPreviews: f.previews} {
		text, err := json.Marshal(what)
		if err != nil {
			return nil, err
		}
		out[key] = string(text)
	}
	return out, nil
}

// write writes the ConfigMap of a Sync. It goes with the Sync.
func (d *drifts) write(ctx context.Context, s *schema.Sync, data map[string]string) error {
	owner := metav1.NewControllerRef(s, k8sschema.GroupVersionKind{Group: schema.Group, Version: "v1alpha1", Kind: schema.KindSync})
	content, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": data,
		"metadata": map[string]any{"name": DriftConfigMap(s.Name), "namespace": s.Namespace, "ownerReferences": []any{owner}},
	})
	if err != nil {
		return err
	}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: DriftConfigMap(s.Name)}}
	if err := d.agent.client.Patch(ctx, m, client.RawPatch(types.ApplyPatchType, content), client.FieldOwner("headgate-drift"), client.ForceOwnership); err != nil {
		return fmt.Errorf("writing ConfigMap %s/%s: %w", m.Namespace, m.Name, err)
	}
	return nil
}

// status is what the Sync's status says.
func (f *follower) status() *schema.SyncDriftStatus {
	open := f.state.Open()
	snapshot := f.state.Snapshot()
	out := &schema.SyncDriftStatus{Open: int32(len(open)), Alerts: int32(len(snapshot.Told)), ConfigMap: DriftConfigMap(f.owner.Name)}
	for i, r := range open {
		if i == 0 || r.Object != open[i-1].Object {
			out.Objects++
		}
	}
	return out
}
