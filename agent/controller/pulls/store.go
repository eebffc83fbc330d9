package pulls

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/schema"
)

// store is where Previews are in a cluster.
type store struct{ all *All }

// Previews implements Store, from the cache.
func (p store) Previews(ctx context.Context, s *schema.Sync) ([]schema.Preview, error) {
	var list schema.PreviewList
	if err := p.all.client.List(ctx, &list, client.InNamespace(s.Namespace)); err != nil {
		return nil, fmt.Errorf("listing the Previews of %s: %w", ownerOf(s), err)
	}
	return slices.DeleteFunc(list.Items, func(v schema.Preview) bool { return v.Spec.Sync != s.Name }), nil
}

// Create implements Store.
func (p store) Create(ctx context.Context, s *schema.Sync, v *schema.Preview) error {
	owner := *metav1.NewControllerRef(s, k8sschema.GroupVersionKind{Group: schema.Group, Version: "v1alpha1", Kind: schema.KindSync})
	owner.BlockOwnerDeletion = nil // nothing waits for previews but the Sync's own end
	v.OwnerReferences = []metav1.OwnerReference{owner}
	return p.all.client.Create(ctx, v)
}

// Update implements Store. The patch names the UID, so that it is for this very object.
func (p store) Update(ctx context.Context, v *schema.Preview) error {
	annotations := map[string]any{AnnotationPushed: v.Annotations[AnnotationPushed], AnnotationApprovedBy: nil}
	if by := v.Annotations[AnnotationApprovedBy]; by != "" {
		annotations[AnnotationApprovedBy] = by
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": v.UID, "annotations": annotations},
		"spec":     map[string]any{"author": v.Spec.Author, "commit": v.Spec.Commit, "base": v.Spec.Base, "fork": v.Spec.Fork},
	})
	if err != nil {
		return err
	}
	return p.all.client.Patch(ctx, v, client.RawPatch(types.MergePatchType, patch))
}

// Delete implements Store.
func (p store) Delete(ctx context.Context, v *schema.Preview, why string) error {
	err := p.all.client.Delete(ctx, v.DeepCopy(), client.Preconditions{UID: &v.UID})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // it is gone, or another one of the name is there
	}
	if err != nil {
		return fmt.Errorf("deleting Preview %s/%s: %w", v.Namespace, v.Name, err)
	}
	p.all.config.Recorder.Eventf(v, nil, corev1.EventTypeNormal, "Ending", "Delete", "%s", cut(strings.ToUpper(why[:1])+why[1:], 1024))
	return nil
}

// Remembered implements Store.
func (p store) Remembered(ctx context.Context, s *schema.Sync) *schema.SyncPreviewsStatus {
	status := p.all.config.Status(ctx, s)
	if status.Previews == nil {
		return &schema.SyncPreviewsStatus{}
	}
	return status.Previews
}

// Remember implements Store.
func (p store) Remember(ctx context.Context, s *schema.Sync, next *schema.SyncPreviewsStatus) error {
	return p.all.config.SetStatus(ctx, s, func(status *schema.SyncStatus) { status.Previews = next })
}
