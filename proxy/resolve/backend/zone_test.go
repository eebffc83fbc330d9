package backend_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/backend"
)

// TestZones: the hints count where the Service asks for it and every ready endpoint has one.
func TestZones(t *testing.T) {
	all := map[string]string{"10.0.0.1": "a", "10.0.0.2": "b"}
	for _, c := range []struct {
		distribution, draining string
		hints, want            map[string]string
	}{
		{"", "", all, map[string]string{"10.0.0.1": "", "10.0.0.2": ""}},
		{"SomethingNew", "", all, map[string]string{"10.0.0.1": "", "10.0.0.2": ""}},
		{"PreferClose", "", all, all},
		{"PreferSameZone", "", all, all},
		{"PreferSameNode", "", all, all},
		{"PreferSameZone", "", map[string]string{"10.0.0.1": "a", "10.0.0.2": ""}, map[string]string{"10.0.0.1": "", "10.0.0.2": ""}},
		{"PreferSameZone", "10.0.0.2", map[string]string{"10.0.0.1": "a", "10.0.0.2": ""}, map[string]string{"10.0.0.1": "a", "10.0.0.2": ""}},
	} {
		t.Run(fmt.Sprint(c.distribution, c.hints, c.draining), func(t *testing.T) {
			states := map[string]string{}
			for a := range c.hints {
				states[a] = ""
			}
			if c.draining != "" {
				states[c.draining] = "draining"
			}
			changes := dns("near", states)
			service, _ := changes[0].Object.(*corev1.Service)
			if c.distribution != "" {
				service.Spec.TrafficDistribution = &c.distribution
			}
			slice, _ := changes[1].Object.(*discoveryv1.EndpointSlice)
			for i := range slice.Endpoints {
				if zone := c.hints[slice.Endpoints[i].Addresses[0]]; zone != "" {
					slice.Endpoints[i].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: zone}, {Name: "z"}}}
				}
			}
			s := kube.NewSnapshot()
			s.Apply(changes)
			id := model.ClusterID{Service: model.Name{Namespace: "a", Name: "near"}, Port: 53, Protocol: model.UDP}
			got := map[string]string{}
			for _, e := range backend.Endpoints(s, id).List {
				got[e.Address.Addr().String()] = e.Zone
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			asks := c.distribution != "" && c.distribution != "SomethingNew"
			if cluster, _ := backend.Cluster(s, id, ""); cluster.Zones != asks {
				t.Errorf("the cluster prefers zones: %t", cluster.Zones)
			}
			if mix := backend.MixEndpoints(s, id, []model.Share{{Cluster: id, Weight: 1}}).List; mix[0].Zone != "" || mix[0].Address == (netip.AddrPort{}) {
				t.Errorf("the mix has %+v", mix)
			}
		})
	}
}
