package xds_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/xds"
)

var sizes = []int{100, 5000}

// manyHosts are the resources of n hosts with one backend.
func manyHosts(n, port int) []xds.Change {
	var all []xds.Change
	for i := range n {
		all = append(all, hostOf(hostName(i), port)...)
	}
	return all
}

// obedient is a proxy that asks for everything as Envoy does and acknowledges all it gets.
func obedient(b *testing.B, client discovery.AggregatedDiscoveryServiceClient, hosts int) {
	b.Helper()
	stream, err := client.DeltaAggregatedResources(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	send := func(r *discovery.DeltaDiscoveryRequest) {
		if err := stream.Send(r); err != nil {
			b.Error(err)
		}
	}
	for _, t := range []envoy.Type{envoy.ClusterType, envoy.EndpointType, envoy.ListenerType, envoy.ScopeType, envoy.RouteType} {
		r := &discovery.DeltaDiscoveryRequest{TypeUrl: t.URL()}
		for i := range hosts {
			switch t {
			case envoy.EndpointType:
				r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, hostName(i))
			case envoy.RouteType:
				r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, "L0/"+hostName(i))
			}
		}
		send(r)
	}
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			if stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: m.TypeUrl, ResponseNonce: m.Nonce}) != nil {
				return
			}
		}
	}()
}

func alone(context.Context, xds.Peer) (xds.Identity, error) { return child, nil }

// BenchmarkPublish is the way from Publish to the answer of a proxy that costs nothing: the floor, whatever else there is.
func BenchmarkPublish(b *testing.B) {
	for _, hosts := range sizes {
		b.Run(fmt.Sprint(hosts), func(b *testing.B) {
			s, client := serve(b, xds.Options{Authenticate: alone})
			s.Publish("f", 1, append(manyHosts(hosts, 1), listenerOn(1)))
			obedient(b, client, hosts)
			ctx := context.Background()
			if _, err := s.Wait(ctx, "f", 1); err != nil {
				b.Fatal(err)
			}
			changes := [][]xds.Change{{routesTo(hostName(0), hostName(1))}, {routesTo(hostName(0), hostName(0))}}
			epoch := uint64(1)
			b.ReportAllocs()
			for b.Loop() {
				epoch++
				s.Publish("f", epoch, changes[epoch%2])
				if _, err := s.Wait(ctx, "f", epoch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPublishEnvoy is the same with a real Envoy.
func BenchmarkPublishEnvoy(b *testing.B) {
	for _, hosts := range sizes {
		b.Run(fmt.Sprint(hosts), func(b *testing.B) {
			r := newRig(b)
			port := backend(b, "blue")
			all := everythingOf(r, hosts, port)
			began := time.Now()
			r.publish(all...)
			receive(b, "the first set is answered", r.first)
			receive(b, "Envoy serves", r.ready)
			first := time.Since(began)
			changes := []xds.Change{routesTo(hostName(0), hostName(1)), routesTo(hostName(0), hostName(0))}
			for b.Loop() {
				r.publish(changes[r.epoch%2])
				r.wait()
			}
			b.ReportMetric(float64(first.Milliseconds()), "ms-first-load")
			r.expect(hostName(hosts-1), http.StatusOK, "blue")
		})
	}
}

// BenchmarkNewHostEnvoy is a new host each time, from Publish to the answer, and its removal.
func BenchmarkNewHostEnvoy(b *testing.B) {
	for _, hosts := range sizes {
		b.Run(fmt.Sprint(hosts), func(b *testing.B) {
			r := newRig(b)
			port := backend(b, "blue")
			r.publish(everythingOf(r, hosts, port)...)
			receive(b, "the first set is answered", r.first)
			receive(b, "Envoy serves", r.ready)
			for b.Loop() {
				host := hostOf(fmt.Sprintf("new-%d.example.com", r.epoch), port)
				r.publish(host...)
				r.wait()
			}
		})
	}
}

// BenchmarkManyEnvoy changes many hosts at once.
func BenchmarkManyEnvoy(b *testing.B) {
	const hosts = 5000
	r := newRig(b)
	port := backend(b, "blue")
	r.publish(everythingOf(r, hosts, port)...)
	receive(b, "the first set is answered", r.first)
	receive(b, "Envoy serves", r.ready)
	for b.Loop() {
		var changes []xds.Change
		for i := range hosts {
			changes = append(changes, routesTo(hostName(i), hostName((i+int(r.epoch))%hosts)))
		}
		r.publish(changes...)
		r.wait()
	}
}

// BenchmarkMemory is what a proxy more costs with 5,000 hosts.
func BenchmarkMemory(b *testing.B) {
	const hosts, proxies = 5000, 10
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		before := heap()
		var n atomic.Int64
		ready := readiness{make(chan xds.Identity, proxies)}
		s, client := serve(b, xds.Options{Observer: ready, Authenticate: func(context.Context, xds.Peer) (xds.Identity, error) {
			return xds.Identity{Fleet: "f", Proxy: fmt.Sprint(n.Add(1))}, nil
		}})
		s.Publish("f", 1, append(manyHosts(hosts, 1), listenerOn(1)))
		state := heap()
		for range proxies {
			obedient(b, client, hosts)
		}
		for range proxies {
			receive(b, "a proxy is ready", ready.c)
		}
		b.ReportMetric((state-before)/(1<<20), "MiB-fleet")
		b.ReportMetric((heap()-state)/proxies/(1<<20), "MiB/proxy")
		runtime.KeepAlive(s)
	}
}

// readiness passes on which proxies are ready.
type readiness struct{ c chan xds.Identity }

func (readiness) Connected(xds.Identity)                 {}
func (r readiness) Ready(id xds.Identity)                { r.c <- id }
func (readiness) Nacked(xds.Identity, envoy.Key, string) {}
func (readiness) Disconnected(xds.Identity, error)       {}
