package xds_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"headgate.dev/proxy/xds"
)

// everythingOf is a listener and n hosts with one backend.
func everythingOf(r *rig, n, port int) []xds.Change {
	return append(manyHosts(n, port), listenerOn(r.port))
}

// The life of a real Envoy with 300 hosts.
func TestEnvoy(t *testing.T) {
	const hosts = 300
	r := newRig(t)
	blue, green := backend(t, "blue"), backend(t, "green")
	all := everythingOf(r, hosts, blue)
	r.publish(all...)
	receive(t, "the first set is answered", r.first)
	pid := receive(t, "Envoy serves", r.ready)
	if st := r.wait(); !st.Live() {
		t.Fatalf("the first set is settled but not live: %+v", st)
	}
	for i := range hosts {
		r.expect(hostName(i), http.StatusOK, "blue")
	}
	if n := r.server.Counts(); n.Responses > 40 || n.Resources != 4*hosts+1 {
		t.Errorf("the first load took %+v, want every resource once, and up to 100 in a response", n)
	}

	t.Run("a new host goes from 404 to 200", func(t *testing.T) {
		before := r.server.Counts()
		for i := range 20 {
			host := fmt.Sprintf("new-%d.example.com", i)
			r.expect(host, http.StatusNotFound, "")
			r.publish(hostOf(host, green)...)
			for code := http.StatusNotFound; code != http.StatusOK; {
				var body string
				var err error
				if code, body, err = r.get(host); err != nil || code != http.StatusOK && code != http.StatusNotFound {
					t.Fatalf("%s answers %d %q (%v), want only 404 and then 200", host, code, body, err)
				}
			}
			if st := r.wait(); !st.Live() {
				t.Fatalf("not live: %+v", st)
			}
		}
		if sent := r.server.Counts().Resources - before.Resources; sent != 4*20 {
			t.Errorf("20 new hosts took %d resources, want cluster, endpoints, scope and table once each", sent)
		}
	})

	t.Run("an answered epoch is what requests get", func(t *testing.T) {
		for i := range 20 {
			to, name := hostName(1), "blue"
			if i%2 == 0 {
				to, name = "new-0.example.com", "green"
			}
			r.publish(routesTo(hostName(0), to))
			r.wait()
			eventually(t, "the answer changes", func() bool {
				_, body, _ := r.get(hostName(0))
				return body == name
			})
		}
	})

	t.Run("backends flip under load", func(t *testing.T) {
		host := hostName(7)
		load := r.load(host, "blue", "green")
		for i := range 20 {
			name, port := fmt.Sprintf("flip-%d", i), []int{blue, green}[i%2]
			changes := []xds.Change{clusterOf(name, time.Second), endpointsOf(name, port), routesTo(host, name)}
			if i > 0 {
				old := fmt.Sprintf("flip-%d", i-1)
				changes = append(changes, removal(0, old), removal(1, old))
			}
			r.publish(changes...)
			r.wait()
			load.pass()
		}
		load.end()
		eventually(t, "the clusters are removed lazily", func() bool { return !strings.Contains(r.admin("/clusters"), "flip-18:") })
		if !strings.Contains(r.admin("/clusters"), "flip-19:") {
			t.Error("the cluster in use is gone")
		}
	})

	t.Run("a changed cluster does not wait for its endpoints", func(t *testing.T) {
		load := r.load(hostName(8), "blue")
		began := time.Now()
		for i := range 10 {
			r.publish(clusterOf(hostName(8), time.Duration(i+2)*time.Second))
			r.wait()
			load.pass()
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("ten changes took %s", took)
		}
		load.end()
	})

	t.Run("a cluster without endpoints does not wait either", func(t *testing.T) {
		began := time.Now()
		r.publish(clusterOf("empty", time.Second), routesTo(hostName(9), "empty"))
		if st := r.wait(); !st.Live() || time.Since(began) > 3*time.Second {
			t.Errorf("after %s: %+v", time.Since(began), st)
		}
		r.expect(hostName(9), http.StatusServiceUnavailable, "")
		r.publish(endpointsOf("empty", green))
		r.wait()
		r.expect(hostName(9), http.StatusOK, "green")
	})

	t.Run("a refused table hurts no other", func(t *testing.T) {
		bad := tableOf(hostName(10), &route.VirtualHost{Name: "without domains"})
		r.publish(append(hostOf("beside.example.com", green), bad)...)
		st := r.wait()
		if st.Live() || len(st.Refused) != 1 || st.Refused[0].Key != bad.Key || !strings.Contains(st.Refused[0].Message, "Domains") {
			t.Errorf("refused: %+v, want the table of %s alone", st, hostName(10))
		}
		r.expect("beside.example.com", http.StatusOK, "green")
		r.expect(hostName(10), http.StatusOK, "blue") // as it was
		r.publish(routesTo(hostName(10), "beside.example.com"))
		if st := r.wait(); !st.Live() {
			t.Errorf("mended, it is still %+v", st)
		}
		r.expect(hostName(10), http.StatusOK, "green")
	})

	t.Run("a host goes away and comes back", func(t *testing.T) {
		host := hostName(11)
		keys := hostOf(host, blue)
		for range 3 {
			for _, c := range keys {
				r.publish(removal(c.Type, c.Name))
			}
			r.wait()
			r.expect(host, http.StatusNotFound, "")
			eventually(t, "its cluster is gone", func() bool { return !strings.Contains(r.admin("/clusters"), host+":") })
			r.publish(keys...)
			if st := r.wait(); !st.Live() {
				t.Fatalf("not live: %+v", st)
			}
			r.expect(host, http.StatusOK, "blue")
		}
	})

	// From here on, what there is, as one set.
	all = append(everythingOf(r, hosts, blue), slices.Concat(hostOf("flip", green), hostOf("beside.example.com", green))...)

	t.Run("the control plane starts again", func(t *testing.T) {
		load := r.load(hostName(20), "blue")
		load.pass()
		r.stop()
		load.pass()
		r.serve()
		r.epoch = 0
		r.publish(all...) // tells what changed since, and what is gone
		receive(t, "the proxy has answered", r.first)
		r.wait()
		r.stop()
		load.pass()
		r.serve()
		r.epoch = 0
		r.publish(all...)
		receive(t, "the proxy has answered", r.first)
		if st := r.wait(); !st.Live() {
			t.Errorf("after the restart: %+v", st)
		}
		r.publish(routesTo(hostName(0), "beside.example.com"))
		r.wait()
		r.expect(hostName(0), http.StatusOK, "green")
		if n := r.server.Counts(); n.Resources != 1 {
			t.Errorf("a new control plane with the same resources and one change sent %+v, want that change alone", n)
		}
		load.end()
	})

	t.Run("Envoy is killed", func(t *testing.T) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		receive(t, "the new Envoy has answered its first set", r.first)
		receive(t, "the new Envoy serves", r.ready)
		if st := r.wait(); !st.Live() || st.Total != 1 {
			t.Errorf("after the restart: %+v", st)
		}
		r.expect(hostName(0), http.StatusOK, "green")
		for i := 1; i < hosts; i++ {
			r.expect(hostName(i), http.StatusOK, "blue")
		}
	})

	for _, l := range strings.Split(r.log.String(), "\n") {
		if strings.Contains(l, "[error]") {
			t.Errorf("Envoy's log: %s", l)
		}
	}
	if t.Failed() {
		t.Logf("Envoy's log:\n%s", r.log.String())
	}
}

// TestEnvoyCannotListen: a first set whose only listener is refused is settled all the same, and mended by a listener that
// can be bound.
func TestEnvoyCannotListen(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
	if err != nil {
		t.Fatal(err)
	}
	r.publish(everythingOf(r, 3, backend(t, "blue"))...)
	if st := r.wait(); st.Live() || len(st.Refused) != 1 || !strings.Contains(st.Refused[0].Message, "Address already in use") {
		t.Errorf("got %+v", st)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r.port = freePort(t)
	r.publish(listenerOn(r.port))
	if st := r.wait(); !st.Live() {
		t.Errorf("mended: %+v", st)
	}
	r.expect(hostName(2), http.StatusOK, "blue")
}
