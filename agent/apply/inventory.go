package apply

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// The inventory is in ConfigMaps of the Sync's namespace, a shard in each, and is written as headgate itself. A Secret would hide nothing, since it
// holds names only, and headgate has the rights on ConfigMaps anyway. They have no owner: a Sync that is deleted in the foreground would lose
// its inventory before its objects.
const (
	// LabelInventory names the Sync whose inventory a ConfigMap is a part of.
	LabelInventory  = "headgate.dev/inventory"
	inventoryPrefix = "headgate-inventory."
	inventoryKey    = "objects"
)

var configMaps = target{resource: schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, kind: "ConfigMap", namespaced: true}

// inventory is what is known of the shards in the cluster. The zero inventory is not read yet.
type inventory struct {
	loaded bool
	shards map[string]shard
	// owned is what the shards that could be read hold together.
	owned plan.Inventory
	// broken says which shard could not be read.
	broken error
}

type shard struct {
	data    []byte
	version string // resource version
}

// load reads the inventory once.
func (r *run) load(ctx context.Context) error {
	if r.loaded {
		return nil
	}
	shards := map[string]shard{}
	options := metav1.ListOptions{LabelSelector: LabelInventory + "=" + r.config.Owner.Name, Limit: pageSize}
	for {
		list, err := r.own.in(configMaps, r.config.Owner.Namespace).List(ctx, options)
		if err != nil {
			return r.inventoryError("reading", err)
		}
		for i := range list.Items {
			name := list.Items[i].GetName()
			if rest, ok := strings.CutPrefix(name, r.shardName("")); ok {
				shards[rest] = shardOf(&list.Items[i])
			}
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			break
		}
	}
	r.inventory = inventory{loaded: true, shards: shards}
	r.owned, r.broken = plan.Join(r.shardList())
	return nil
}

func shardOf(u *unstructured.Unstructured) shard {
	data, _, _ := unstructured.NestedString(u.Object, "data", inventoryKey)
	return shard{data: []byte(data), version: u.GetResourceVersion()}
}

func (r *run) shardName(shard string) string {
	return inventoryPrefix + r.config.Owner.Name + "." + shard
}

// shardList gives the shards sorted by name.
func (r *run) shardList() []plan.Shard {
	var out []plan.Shard
	for _, name := range slices.Sorted(maps.Keys(r.shards)) {
		out = append(out, plan.Shard{Name: name, Data: r.shards[name].data})
	}
	return out
}

// grow writes the inventory of everything that may exist from the first write on.
func (r *run) grow(ctx context.Context, before plan.Inventory) error {
	more := before.Without(r.owned)
	if len(more) == 0 {
		return nil
	}
	if r.broken != nil {
		for _, s := range plan.GrowShards(more, 0) {
			if err := r.writeShard(ctx, s); err != nil {
				return err
			}
		}
		r.owned = plan.NewInventory(append(more, r.owned...))
		return nil
	}
	return r.rewrite(ctx, before)
}

// shrink writes the inventory of what is left.
func (r *run) shrink(ctx context.Context, after plan.Inventory) error {
	if r.broken != nil || after.Equal(r.owned) {
		return nil
	}
	return r.rewrite(ctx, after)
}

// rewrite makes the shards hold an inventory: first those that are written, then those that go.
func (r *run) rewrite(ctx context.Context, want plan.Inventory) error {
	write, remove := plan.ShardChanges(r.shardList(), plan.Shards(want, 0))
	for _, s := range write {
		if err := r.writeShard(ctx, s); err != nil {
			return err
		}
	}
	for _, name := range remove {
		if err := r.removeShard(ctx, name); err != nil {
			return err
		}
	}
	r.owned = want
	return nil
}

// writeShard makes a shard, or changes the very one that was read: when somebody else did, the error says so, and everything is read anew
// next time.
func (r *run) writeShard(ctx context.Context, s plan.Shard) error {
	old, there := r.shards[s.Name]
	if there && bytes.Equal(old.data, s.Data) {
		return nil
	}
	metadata := map[string]any{
		"name": r.shardName(s.Name), "namespace": r.config.Owner.Namespace,
		"labels": map[string]any{LabelInventory: r.config.Owner.Name},
	}
	content := map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": map[string]any{inventoryKey: string(s.Data)},
	}
	maps := r.own.in(configMaps, r.config.Owner.Namespace)
	var u *unstructured.Unstructured
	var err error
	if there {
		metadata["resourceVersion"] = old.version
		u, err = maps.Patch(ctx, r.shardName(s.Name), types.MergePatchType, object.AppendJSON(nil, content), metav1.PatchOptions{FieldManager: Manager})
	} else {
		u, err = maps.Create(ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{FieldManager: Manager})
	}
	if err != nil {
		r.inventory = inventory{} // what is there is not known
		return r.inventoryError("writing", err)
	}
	r.shards[s.Name] = shardOf(u)
	return nil
}

func (r *run) removeShard(ctx context.Context, name string) error {
	version := r.shards[name].version
	err := r.own.in(configMaps, r.config.Owner.Namespace).Delete(ctx, r.shardName(name), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{ResourceVersion: &version},
	})
	if err != nil && !isMissing(err) {
		r.inventory = inventory{}
		return r.inventoryError("removing a part of", err)
	}
	delete(r.shards, name)
	return nil
}

// inventoryError says what was being done to the inventory. It is headgate's own, so that no account is to blame.
func (r *run) inventoryError(doing string, err error) error {
	e := r.answered(doing+" the inventory of", object.ID{}, nil, nil, err)
	e.ID = r.syncID()
	if e.Reason == ReasonForbidden {
		e.Message = fmt.Sprintf("headgate may not %s %s", e.Verb, e.Resource)
	}
	if code(err) == http.StatusConflict {
		e.Reason = ReasonChanged
	}
	return e
}

func (r *run) syncID() object.ID {
	return object.ID{Group: "headgate.dev", Kind: "Sync", Namespace: r.config.Owner.Namespace, Name: r.config.Owner.Name}
}

// erase removes the inventory.
func (r *run) erase(ctx context.Context) error {
	for _, s := range r.shardList() {
		if err := r.removeShard(ctx, s.Name); err != nil {
			return err
		}
	}
	r.forget()
	return nil
}
