//go:build cluster

package controller

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/agent/drift"
	"headgate.dev/schema"
)

// widgets is the definition of a kind whose field has another name in v2, with the version that is served.
func widgets(served string) string {
	version := func(name, field string) string {
		return fmt.Sprintf(`
  - name: %s
    served: %t
    storage: %[2]t
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {%[3]s: {type: integer}}}}}}`, name, name == served, field)
	}
	return `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.night.example.com}
spec:
  group: night.example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions:` + version("v1", "size") + version("v2", "count") + "\n"
}

// open waits until the follower knows exactly these open records: OBJECT PATH WHAT.
func (n *night) open(want ...string) {
	n.Helper()
	n.until(fmt.Sprintf("%q is open", want), func(context.Context) error {
		var got []string
		if err := n.follows(func(f *follower) bool {
			for _, r := range f.state.Open() {
				got = append(got, strings.TrimSpace(r.Object.Kind+"/"+r.Object.Name+" "+r.Path)+" "+string(r.What))
			}
			return true
		}); err != nil {
			return err
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
}

// TestClusterDriftBadInput: a loop that edits all the time, objects that are made again at once, another owner with force, kinds that change or go.
func TestClusterDriftBadInput(t *testing.T) {
	n := &night{world: newWorld(t, "headgate-bad-drift")}
	n.must(n.apply(widgets("v1")))
	n.Cleanup(func() {
		cmd := exec.Command(os.Getenv("HEADGATE_TESTCLUSTER"), "kubectl", "delete", "crd", "widgets.night.example.com", "--ignore-not-found", "--wait=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	n.tool("kubectl", "wait", "--for=condition=Established", "crd/widgets.night.example.com", "--timeout=30s")
	repo := n.repository()
	first := repo.commit("Begin", "settings.yaml", settingsFile("git"), "cart.yaml", cartSpec,
		"widget.yaml", "apiVersion: night.example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 3}\n")
	n.start(Options{})
	n.sync = repo.sync("shop", nil)
	n.ready(n.sync, first)
	n.until("everything is known", func(context.Context) error { return n.followed("shop") })

	n.loopOfEdits()
	second := repo.commit("It is followed all the same", "settings.yaml", settingsFile("second"))
	n.ready(n.sync, second)
	n.open()

	// A version goes, and with it the name of a field: the object is still there, so that nothing is drifted.
	n.must(n.apply(widgets("v2")))
	n.until("the watch has ended", func(context.Context) error {
		if !strings.Contains(n.log.String(), "watching what the Sync owns") {
			return errors.New("it has not")
		}
		return nil
	})
	n.must(n.follows(func(f *follower) bool { f.rewatch(); return true }))
	n.kubectl("60s") // what is seen after it was seen when the widget had been looked at
	n.open("HTTPRoute/cart spec.rules[0].timeouts.request changed")
	third := repo.commit("Do without", "widget.yaml", "", "cart.yaml", cartSpec)
	n.ready(n.sync, third)
	n.kubectl("10s")
	n.open()
	fourth := repo.commit("Use the new version", "widget.yaml", "apiVersion: night.example.com/v2\nkind: Widget\nmetadata: {name: w}\nspec: {count: 3}\n")
	n.ready(n.sync, fourth)
	n.until("everything is known", func(context.Context) error { return n.followed("shop") })

	n.madeAgain()

	// The kind goes, with its objects; once it is back, they are put back.
	n.tool("kubectl", "delete", "crd", "widgets.night.example.com")
	n.open("Widget/w deleted")
	n.must(n.apply(widgets("v2")))
	n.open()
	n.tool("kubectl", "get", "widgets.night.example.com", "w", "-n", n.namespace)

	n.force()
}

// loopOfEdits edits one field as fast as the API server takes it. It is one record; people are told of the first edit, and of the last.
func (n *night) loopOfEdits() {
	n.Helper()
	before := strings.Count(n.log.String(), "event=drift")
	ctx, stop := context.WithTimeout(n.Context(), 6*time.Second)
	defer stop()
	var edits atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "shop"}}
				patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"data":{"value":"%d"}}`, edits.Add(1)))
				if err := n.Patch(ctx, m, patch, client.FieldOwner("kubectl-loop")); err != nil && ctx.Err() == nil {
					n.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	n.open("ConfigMap/shop data.value changed")
	var m corev1.ConfigMap
	n.must(n.Get(n.Context(), client.ObjectKey{Namespace: n.namespace, Name: "shop"}, &m))
	n.latest("the record has the last value", func(r drift.Record) bool {
		return r.To == `"`+m.Data["value"]+`"` && r.Managers() == "kubectl-loop" && r.Edits > 10
	})
	if told := strings.Count(n.log.String(), "event=drift") - before; told > 3 {
		n.Errorf("people were told %d times of %d edits", told, edits.Load())
	}
	n.Logf("%d edits in 6 s", edits.Load())
}

// madeAgain deletes objects and makes them again at once, with other values and without the labels of the Sync: they are put back.
func (n *night) madeAgain() {
	n.Helper()
	n.policy(schema.SyncDrift{Policy: schema.DriftCorrect})
	n.until("the policy counts", func(context.Context) error {
		return n.follows(func(f *follower) bool { return f.sync.Spec.Drift != nil })
	})
	for i := range 5 {
		m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "shop"}, Data: map[string]string{"value": fmt.Sprint("hand ", i)}}
		n.must(n.Delete(n.Context(), m.DeepCopy()))
		if err := n.Create(n.Context(), m); err != nil && i == 0 { // later it may be back before this
			n.Fatal(err)
		}
		n.until("it is Git's again", func(ctx context.Context) error {
			var now corev1.ConfigMap
			err := n.Get(ctx, client.ObjectKeyFromObject(m), &now)
			if err == nil && (now.Data["value"] != "second" || now.Labels["headgate.dev/sync"] != "shop") {
				err = fmt.Errorf("it is %v %v", now.Labels, now.Data)
			}
			return err
		})
	}
	n.open()
}

// force has another owner apply the same field with force, again and again: that is a fight, in which headgate stops and names it.
func (n *night) force() {
	n.Helper()
	for i := range 6 {
		n.must(n.applyAs("tug-of-war", fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop, namespace: %s}\ndata: {value: \"forced %d\"}\n", n.namespace, i)))
		if i == 5 {
			break
		}
		n.until("it is put back", func(ctx context.Context) error {
			var now corev1.ConfigMap
			err := n.Get(ctx, client.ObjectKey{Namespace: n.namespace, Name: "shop"}, &now)
			if err == nil && now.Data["value"] != "second" {
				err = fmt.Errorf("it is %v", now.Data)
			}
			return err
		})
	}
	n.latest("it is a fight", func(r drift.Record) bool {
		return r.Open() && r.Fight && strings.HasPrefix(r.Managers(), "tug-of-war") && r.By[0].Operation == "Apply"
	})
}
