//go:build cluster

package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/schema"
)

// TestClusterSyncHostile holds what a cluster can have against a commit: each is told, hurts nobody else, and is over by itself.
func TestClusterSyncHostile(t *testing.T) {
	w := newWorld(t, "headgate-sync-hostile")
	w.asInstalled()
	repo := w.repository()
	w.start(Options{})
	const widget = "apiVersion: headgate-sync-hostile.example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 1}\n"
	commit := repo.commit("Begin", "good/a.yaml", configMap("good", "one"), "early/w.yaml", widget,
		"refused/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: refused, labels: {forbidden: 'true'}}\n",
		"quota/a.yaml", configMap("q1", "one")+"---\n"+configMap("q2", "one"))
	good := repo.sync("good", func(spec *schema.SyncSpec) { spec.Path = "good" })
	w.ready(good, commit)

	// A definition that comes later than its object.
	early := repo.sync("early", func(spec *schema.SyncSpec) { spec.Path = "early" })
	w.contains("a kind that is not there", w.message(early, "ApplyFailed"), "early/w.yaml:1:1", "Widget")
	w.must(w.apply(widgetDefinition))
	t.Cleanup(func() {
		w.must(exec.Command(os.Getenv("HEADGATE_TESTCLUSTER"), "kubectl", "delete", "crd", "--wait=false", "widgets.headgate-sync-hostile.example.com").Run())
	})
	w.ready(early, commit)

	// An admission policy that refuses.
	w.refuse("headgate-sync-hostile")
	refused := repo.sync("refused", func(spec *schema.SyncSpec) { spec.Path = "refused" })
	w.until("the policy refuses", func(ctx context.Context) error {
		now := &schema.Sync{}
		if err := w.Get(ctx, client.ObjectKeyFromObject(refused), now); err != nil {
			return err
		}
		for _, c := range now.Status.Conditions {
			if c.Type == schema.SyncReady && c.Reason == "ApplyFailed" {
				w.contains("a policy", c.Message, "refused/a.yaml:1:1", "not in this test")
				return nil
			}
		}
		return fmt.Errorf("it is %+v", now.Status.Conditions)
	})

	// A quota that is used up, and then is not.
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "q"}}
	quota.Spec.Hard = corev1.ResourceList{"count/configmaps": resource.MustParse("1")}
	w.must(w.Create(t.Context(), quota))
	w.until("the quota counts", func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(quota), quota); err != nil || len(quota.Status.Used) == 0 {
			return errors.Join(err, errors.New("it does not yet"))
		}
		return nil
	})
	// The inventory counts, too: what the agent cannot note it does not write.
	full := repo.sync("full", func(spec *schema.SyncSpec) { spec.Path = "quota" })
	w.contains("a quota", w.message(full, "ApplyFailed"), "exceeded quota")
	w.must(w.Delete(t.Context(), quota))
	w.ready(full, commit)

	// The API server is away for a while, and what was on its way comes to its end.
	next := repo.commit("Change", "good/a.yaml", configMap("good", "two"))
	w.away.Store(true)
	w.until("the agent notices", func(context.Context) error { return lessThan(1, w.refused.Load()) })
	w.away.Store(false)
	w.ready(good, next)
	w.has("good", "two")

	// The namespace is deleted with everything in it: no Sync holds it up.
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	w.must(w.Delete(t.Context(), n))
	w.gone(n)
}

// refuse has an admission policy refuse objects of a namespace with the label forbidden.
func (w *world) refuse(namespace string) {
	w.Helper()
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	policy.Spec.MatchConstraints = &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}}}
	policy.Spec.Validations = []admissionv1.Validation{{Expression: "!has(object.metadata.labels) || !('forbidden' in object.metadata.labels)", Message: "not in this test"}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	binding.Spec.PolicyName, binding.Spec.ValidationActions = namespace, []admissionv1.ValidationAction{admissionv1.Deny}
	binding.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}}}
	for _, o := range []client.Object{policy, binding} {
		if err := w.Create(w.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
			w.Fatal(err)
		}
		w.Cleanup(func() { w.must(client.IgnoreNotFound(w.Delete(context.Background(), o))) })
	}
	probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "probe-", Labels: map[string]string{"forbidden": "true"}}}
	w.until("the policy is in force", func(ctx context.Context) error {
		if err := w.Create(ctx, probe.DeepCopy(), client.DryRunAll); err == nil {
			return errors.New("it is not")
		}
		return nil
	})
}

const widgetDefinition = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.headgate-sync-hostile.example.com"},
"spec":{"group":"headgate-sync-hostile.example.com","names":{"kind":"Widget","plural":"widgets"},"scope":"Namespaced","versions":[{"name":"v1","served":true,"storage":true,
"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`

// awayFor is a transport that has no API server for a while.
type awayFor struct {
	http.RoundTripper
	w *world
}

func (a awayFor) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.w.away.Load() {
		a.w.refused.Add(1)
		return nil, errors.New("connect: connection refused")
	}
	return a.RoundTripper.RoundTrip(r)
}
