package envoy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
)

// l4World is listeners that forward bytes.
type l4World struct {
	*proxy
	resources []envoy.Resource
}

func l4Cluster(name string, p model.Protocol) model.ClusterID {
	return model.ClusterID{Service: model.Name{Namespace: "t", Name: name}, Port: 1, Protocol: p}
}

func (w *l4World) add(t *testing.T, id model.ClusterID, list ...model.Endpoint) {
	t.Helper()
	c, err := envoy.Cluster(&model.Cluster{ID: id}, envoy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := envoy.Endpoints(&model.Endpoints{Cluster: id, List: list})
	if err != nil {
		t.Fatal(err)
	}
	w.resources = append(w.resources, c, e)
}

func l4Listener(port int32, p model.Protocol, shares ...model.Share) *model.Listener {
	l := &model.Listener{Gateway: model.Name{Namespace: "infra", Name: "public"}, Port: port, Protocol: p}
	if len(shares) > 0 {
		l.Forward = &model.L4Forward{Shares: shares}
	}
	return l
}

func TestL4(t *testing.T) {
	w := &l4World{}
	a, b := l4Cluster("a", model.TCP), l4Cluster("b", model.TCP)
	w.add(t, a, model.Endpoint{Address: tcpBackend(t, "a", nil)})
	half := l4Cluster("half", model.TCP)
	w.add(t, half, model.Endpoint{Address: tcpBackend(t, "a", nil)}, model.Endpoint{Address: closedPort(t)})
	w.add(t, b, model.Endpoint{Address: tcpBackend(t, "b", nil)})
	x, y := l4Cluster("x", model.UDP), l4Cluster("y", model.UDP)
	udpX, udpY := udpBackend(t, "x"), udpBackend(t, "y")
	w.add(t, x, model.Endpoint{Address: udpX})
	w.add(t, y, model.Endpoint{Address: udpY})
	mixed := l4Listener(54, model.UDP, model.Share{Cluster: x, Weight: 3}, model.Share{Cluster: y, Weight: 1})
	mix, ok := envoy.Mix(mixed)
	if !ok {
		t.Fatal("a listener with two shares needs no mix")
	}
	w.add(t, mix, model.Endpoint{Address: udpX, Weight: 3}, model.Endpoint{Address: udpY, Weight: 1})
	void := netip.MustParseAddrPort("[100::1]:9") // takes everything and answers nothing
	lost := l4Listener(56, model.UDP, model.Share{Weight: 1}, model.Share{Cluster: y, Weight: 1})
	lostMix, _ := envoy.Mix(lost)
	w.add(t, lostMix, model.Endpoint{Address: udpY, Weight: 1}, model.Endpoint{Address: void, Weight: 1})
	for _, l := range []*model.Listener{
		lost,
		l4Listener(5432, model.TCP, model.Share{Cluster: a, Weight: 1}, model.Share{Cluster: b, Weight: 3}),
		l4Listener(5433, model.TCP, model.Share{Cluster: half, Weight: 1}),
		l4Listener(5434, model.TCP, model.Share{Weight: 1}),
		l4Listener(5435, model.TCP),
		l4Listener(53, model.UDP, model.Share{Cluster: x, Weight: 1}, model.Share{Cluster: y, Weight: 0}),
		mixed,
		l4Listener(55, model.UDP),
	} {
		w.resources = append(w.resources, mustListener(t, l))
	}
	w.proxy = start(t, w.resources)
	t.Run("TCP", func(t *testing.T) { testTCP(t, w) })
	t.Run("UDP", func(t *testing.T) { testUDP(t, w) })
	t.Run("UDP changes", func(t *testing.T) { testUDPChange(t, w, y) })
	t.Run("TCP changes", func(t *testing.T) { testTCPChange(t, w, b) })
}

func testTCP(t *testing.T, w *l4World) {
	got := map[string]int{}
	for range 400 {
		name, err := line(w.dialTCP(t, "5432"))
		if err != nil {
			t.Fatal(err)
		}
		got[name]++
	}
	if len(got) != 2 || got["a"] < 60 || got["a"] > 140 {
		t.Errorf("1:3 by weight: %v", got)
	}
	for range 20 { // one of the endpoints is dead
		if name, err := line(w.dialTCP(t, "5433")); name != "a" || err != nil {
			t.Errorf("%s answers (%v), want a", name, err)
		}
	}
	for _, port := range []string{"5434", "5435"} {
		if name, err := line(w.dialTCP(t, port)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("port %s has no backend: %s answers (%v)", port, name, err)
		}
	}
}

func (w *l4World) session(t *testing.T, port string) func(text string, patience time.Duration) (string, error) {
	t.Helper()
	conn, err := net.Dial("udp", w.ports["infra/public/"+port+"/udp"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func(text string, patience time.Duration) (string, error) {
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := conn.Read(buf)
		return string(buf[:n]), err
	}
}

func testUDP(t *testing.T, w *l4World) {
	say := w.session(t, "53")
	for i := range 10 {
		text := fmt.Sprint("hello", i)
		if got, err := say(text, clientPatience); got != "x "+text {
			t.Errorf("got %q (%v)", got, err)
		}
	}
	got := map[string]int{}
	for range 80 {
		say := w.session(t, "54")
		first, err := say("hi", clientPatience)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := say("hi", clientPatience); second != first {
			t.Errorf("one session went to %s and %s (%v)", first, second, err)
		}
		got[first]++
	}
	if got["x hi"] != 60 || got["y hi"] != 20 {
		t.Errorf("3:1 of sessions: %v", got)
	}
	answered := 0
	for range 6 {
		if _, err := w.session(t, "56")("hi", 50*time.Millisecond); err == nil {
			answered++
		}
	}
	if answered != 3 {
		t.Errorf("1:1 between a backend and none: %d of 6 sessions are answered", answered)
	}
	if got, err := w.session(t, "55")("hi", 200*time.Millisecond); err == nil {
		t.Errorf("no backend: got %q", got)
	}
}

// testUDPChange: new sessions go where the listener says; so do connections where it changes its protocol.
func testUDPChange(t *testing.T, w *l4World, y model.ClusterID) {
	w.publish(t, []envoy.Resource{mustListener(t, l4Listener(53, model.UDP, model.Share{Cluster: y, Weight: 1}))})
	w.findPorts(t)
	eventually(t, "sessions go to y", func() bool {
		got, err := w.session(t, "53")("hi", time.Second)
		return got == "y hi" && err == nil
	})
	changed := l4Listener(5435, model.TLS)
	changed.Chains = []model.Chain{{ServerName: "*", Forward: &model.L4Forward{Shares: []model.Share{{Cluster: l4Cluster("tls", model.TCP), Weight: 1}}}}}
	server := newCA(t, "servers").issue(t, "x.test").tls()
	w.resources = nil
	w.add(t, l4Cluster("tls", model.TCP), model.Endpoint{Address: tcpBackend(t, "tls", &tls.Config{Certificates: []tls.Certificate{server}})})
	w.publish(t, append(w.resources, mustListener(t, changed)))
	w.findPorts(t)
	eventually(t, "the port speaks TLS", func() bool {
		conn, err := w.dialTLS("5435", &tls.Config{ServerName: "x.test", InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		defer conn.Close()
		name, err := line(conn)
		return name == "tls" && err == nil
	})
}

// testTCPChange: connections stay where they are when their listener changes; new ones go where it says.
func testTCPChange(t *testing.T, w *l4World, b model.ClusterID) {
	old := w.dialTCP(t, "5433")
	if name, err := line(old); name != "a" || err != nil {
		t.Fatalf("%s answers (%v)", name, err)
	}
	w.publish(t, []envoy.Resource{mustListener(t, l4Listener(5433, model.TCP, model.Share{Cluster: b, Weight: 1}))})
	w.findPorts(t)
	eventually(t, "new connections go to b", func() bool {
		name, err := line(w.dialTCP(t, "5433"))
		return name == "b" && err == nil
	})
	if _, err := io.WriteString(old, "still there\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := old.Read(buf); string(buf[:n]) != "still there\n" {
		t.Errorf("the old connection: %q %v", buf[:n], err)
	}
}

// TestExclusive: two proxies that are to bind one port do not share it.
func TestExclusive(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		address := closedPort(t)
		o := envoy.Options{Exclusive: exclusive, Bind: func(model.ListenerID) netip.AddrPort { return address }}
		l, err := envoy.Listener(l4Listener(5432, model.TCP), o)
		if err != nil {
			t.Fatal(err)
		}
		start(t, []envoy.Resource{l})
		second := start(t, nil)
		second.epoch++
		second.server.Publish("test", second.epoch, []envoy.Resource{l})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		status, err := second.server.Wait(ctx, "test", second.epoch)
		if err != nil || (len(status.Refused) == 1) != exclusive {
			t.Errorf("exclusive %t: %+v %v", exclusive, status, err)
		}
	}
}
