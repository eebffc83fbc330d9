//go:build cluster

package deploy

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const zonesNamespace = "headgate-zones-test"

// A proxy on a node with a zone prefers what is in that zone, for a Service that asks for it, and misses nothing otherwise.
func TestClusterZones(t *testing.T) {
	w := newWorld(t)
	w.install()
	w.clear(zonesNamespace)
	here := w.zone()
	w.steadyIn(zonesNamespace)
	defer func() { w.in(t).clear(zonesNamespace) }()
	stop := w.traffic(t, "steady.example")
	defer stop()

	parts := map[string]*discoveryv1.EndpointSlice{}
	for _, name := range []string{"here", "there"} {
		s, e := service("near", w.host, w.backend(t, name))
		s.Namespace, e.Namespace, e.Name = zonesNamespace, zonesNamespace, "near-"+name
		zone := map[string]string{"here": here, "there": "headgate-test-elsewhere"}[name]
		e.Endpoints[0].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: zone}}}
		parts[name] = e
		if name == "here" {
			near := corev1.ServiceTrafficDistributionPreferSameZone
			s.Spec.TrafficDistribution = &near
			w.create(s)
		}
		w.create(e)
	}
	r := route("near", "near.example", "near")
	r.Namespace = zonesNamespace
	w.create(r)
	w.appears("near.example", "here")
	w.answerers("near.example", "here")

	w.ready(parts["here"], false)
	w.answerers("near.example", "there")
	w.ready(parts["here"], true)
	w.answerers("near.example", "here")

	s := &corev1.Service{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: zonesNamespace, Name: "near"}, s); err != nil {
		t.Fatal(err)
	}
	s.Spec.TrafficDistribution = nil
	if err := w.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	w.answerers("near.example", "here there")
}

// zone gives the zone of the first node, and gives it one if need be.
func (w *world) zone() string {
	w.Helper()
	var nodes corev1.NodeList
	if err := w.List(w.Context(), &nodes); err != nil || len(nodes.Items) == 0 {
		w.Fatalf("there is no node: %v", err)
	}
	n := &nodes.Items[0]
	if zone := n.Labels[corev1.LabelTopologyZone]; zone != "" {
		return zone
	}
	before := n.DeepCopy()
	metav1.SetMetaDataLabel(&n.ObjectMeta, corev1.LabelTopologyZone, "headgate-test-here")
	if err := w.Patch(w.Context(), n, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
	return n.Labels[corev1.LabelTopologyZone]
}

// ready says of the endpoints of a slice whether they are.
func (w *world) ready(e *discoveryv1.EndpointSlice, is bool) {
	w.Helper()
	for i := range e.Endpoints {
		e.Endpoints[i].Conditions.Ready = &is
	}
	if err := w.Update(w.Context(), e); err != nil {
		w.Fatal(err)
	}
}

// answerers waits until a host is answered by these backends, each of them, and nobody else. No request may fail meanwhile.
func (w *world) answerers(host, want string) {
	w.Helper()
	w.until(fmt.Sprintf("%s is answered by %s", host, want), 20*time.Second, func(ctx context.Context) error {
		got := map[string]struct{}{}
		for range 50 {
			code, body, err := w.ask(ctx, host)
			if err != nil || code != http.StatusOK {
				w.Fatalf("%s answers %d %s: %v", host, code, body, err)
			}
			got[body] = struct{}{}
		}
		if all := strings.Join(slices.Sorted(maps.Keys(got)), " "); all != want {
			return fmt.Errorf("%s answer", all)
		}
		return nil
	})
}
