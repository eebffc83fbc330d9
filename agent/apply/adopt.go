package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// isHand tells whether a field manager is a tool in a person's hand, or one that put into the cluster what now comes from Git. Their fields are taken over,
// while those of controllers are theirs. kubectl rollout is left out: the restart that it asked for would be repeated.
func isHand(manager string) bool {
	switch manager {
	case "kubectl-rollout":
		return false
	case "kubectl", "helm", "k9s", "before-first-apply":
		return true
	}
	return strings.HasPrefix(manager, "kubectl-")
}

// adopt applies an object that nobody owns yet. The fields of the hands that made it become headgate's first, so that what Git lacks is
// removed by the same apply, and the object is never without the fields it keeps.
func (r *run) adopt(ctx context.Context, j *job) (*unstructured.Unstructured, error) {
	known := r.known(j.id())
	managed, version := known.managed, known.version
	for {
		entries, taken, err := takeOver(managed, j.target.apiVersion())
		if err != nil {
			return nil, fmt.Errorf("reading its managedFields: %w", err)
		}
		if len(taken) > 0 {
			if version, err = r.writeManagers(ctx, j, entries, version); err != nil {
				return nil, err
			}
			j.written.TakenOver = append(j.written.TakenOver, taken...)
		}
		if j.locked {
			j.metadata()["resourceVersion"] = version
		}
		live, err := r.put(ctx, j)
		if err != nil {
			return nil, err
		}
		// Of an object without any managers, the first apply makes one of all its fields.
		if managed, version = live.GetManagedFields(), live.GetResourceVersion(); !slices.ContainsFunc(managed, ofHand) {
			return live, nil
		}
	}
}

// writeManagers puts managers in the place of those that were read with a resource version, and gives the new one.
func (r *run) writeManagers(ctx context.Context, j *job, entries []metav1.ManagedFieldsEntry, version string) (string, error) {
	r.unsee(j.id())
	data, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/managedFields", "value": entries},
		// Replacing it by what was read is a conflict when it is another one by now.
		{"op": "replace", "path": "/metadata/resourceVersion", "value": version},
	})
	if err != nil {
		return "", err
	}
	live, err := r.as.metaIn(j.target, j.id().Namespace).Patch(ctx, j.id().Name, types.JSONPatchType, data, metav1.PatchOptions{FieldManager: Manager})
	if err != nil {
		return "", err
	}
	return live.ResourceVersion, nil
}

// ofHand tells whether an entry is one of those that are taken over.
func ofHand(e metav1.ManagedFieldsEntry) bool { return e.Subresource == "" && isHand(e.Manager) }

// takeOver gives the entries with those of hands made part of headgate's own, and the names of those managers, sorted; none when there is nothing
// to take over. Fields of another version than headgate's are let go, as their names may mean nothing in its version.
func takeOver(entries []metav1.ManagedFieldsEntry, apiVersion string) ([]metav1.ManagedFieldsEntry, []string, error) {
	own := metav1.ManagedFieldsEntry{Manager: Manager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: apiVersion, FieldsType: "FieldsV1"}
	set := &fieldpath.Set{}
	var out []metav1.ManagedFieldsEntry
	var taken []string
	for _, e := range entries {
		isOwn := e.Manager == Manager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
		if !isOwn && !ofHand(e) {
			out = append(out, e)
			continue
		}
		if !isOwn {
			taken = append(taken, e.Manager)
		}
		if e.APIVersion != apiVersion || e.FieldsV1 == nil {
			continue
		}
		part := &fieldpath.Set{}
		if err := part.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())); err != nil {
			return nil, nil, fmt.Errorf("fields of %s: %w", e.Manager, err)
		}
		set = set.Union(part)
	}
	raw, err := set.ToJSON()
	if err != nil {
		return nil, nil, err
	}
	own.FieldsV1 = metav1.NewFieldsV1(string(raw))
	slices.Sort(taken)
	return append(out, own), slices.Compact(taken), nil
}
