package envoy_test

import (
	"fmt"
	"testing"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
)

func oneRoute(i int) *model.Host {
	name := fmt.Sprintf("svc-%d", i)
	return &model.Host{
		ID:   model.HostID{Table: "infra/public/80", Name: name + ".example.com"},
		Port: 80,
		Routes: []model.Route{{
			Source: model.Source{Kind: "HTTPRoute", Name: model.Name{Namespace: "default", Name: name}},
			Match:  model.Match{Path: "/"},
			Forward: &model.Forward{Backends: []model.Backend{{
				Cluster: model.ClusterID{Service: model.Name{Namespace: "default", Name: name}, Port: 8080, Protocol: model.HTTP},
				Weight:  1,
			}}},
		}},
	}
}

func BenchmarkHost(b *testing.B) {
	h := oneRoute(1)
	b.ReportAllocs()
	for b.Loop() {
		if r := envoy.Host(h, envoy.Options{}); len(r.Resources) != 2 {
			b.Fatal(r)
		}
	}
}

func BenchmarkHostOf100Routes(b *testing.B) {
	h := oneRoute(1)
	for i := range 99 {
		r := oneRoute(i).Routes[0]
		r.Match = model.Match{Path: fmt.Sprintf("/path-%d", i), Headers: []model.ValueMatch{{Name: "x-a", Value: "b"}}}
		h.Routes = append(h.Routes, r)
	}
	b.ReportAllocs()
	for b.Loop() {
		envoy.Host(h, envoy.Options{})
	}
}

func BenchmarkWildcardsOf100Hosts(b *testing.B) {
	var parts []*envoy.Part
	for i := range 100 {
		h := oneRoute(i)
		h.ID.Name = "*." + h.ID.Name
		parts = append(parts, envoy.Host(h, envoy.Options{}).Part)
	}
	b.ReportAllocs()
	for b.Loop() {
		envoy.Wildcards(&model.Table{ID: "infra/public/80"}, parts, envoy.Options{})
	}
}

func BenchmarkCluster(b *testing.B) {
	c := &model.Cluster{ID: oneRoute(1).Routes[0].Forward.Backends[0].Cluster}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envoy.Cluster(c, envoy.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAll5000 makes everything for 5,000 services: host, cluster, endpoints.
func BenchmarkAll5000(b *testing.B) {
	const n = 5000
	hosts := make([]*model.Host, n)
	for i := range hosts {
		hosts[i] = oneRoute(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, h := range hosts {
			id := h.Routes[0].Forward.Backends[0].Cluster
			envoy.Host(h, envoy.Options{})
			if _, err := envoy.Cluster(&model.Cluster{ID: id}, envoy.Options{}); err != nil {
				b.Fatal(err)
			}
			if _, err := envoy.Endpoints(&model.Endpoints{Cluster: id}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkListenerOf64Chains makes the largest listener that one Gateway can have by itself.
func BenchmarkListenerOf64Chains(b *testing.B) {
	l := &model.Listener{Gateway: model.Name{Namespace: "infra", Name: "public"}, Port: 443, Protocol: model.TLS}
	for i := range 64 {
		name := fmt.Sprintf("svc-%d.example.com", i)
		l.Chains = append(l.Chains, model.Chain{
			ServerName: name, Table: model.TableID("infra/public/443/" + name),
			Terminate: &model.Termination{Certificates: []model.SecretID{model.SecretID("certificate/infra/" + name)}},
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envoy.Listener(l, envoy.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClusterWithTLS(b *testing.B) {
	c := &model.Cluster{ID: oneRoute(1).Routes[0].Forward.Backends[0].Cluster, TLS: &model.BackendTLS{Hostname: "a.internal", CA: "ca/ConfigMap/a/b"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envoy.Cluster(c, envoy.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
