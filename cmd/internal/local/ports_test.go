package local

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"strings"
	"testing"

	"headgate.dev/proxy/model"
)

func listenerID(gateway string, port int32) model.ListenerID {
	return model.ListenerID{Gateway: model.Name{Namespace: "infra", Name: gateway}, Port: port}
}

func TestPortMap(t *testing.T) {
	c, err := openClaims(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plan := func(m *portMap, ids ...model.ListenerID) *portMap {
		t.Helper()
		next, err := m.plan(ids)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	check := func(m *portMap, want map[model.ListenerID]uint16) {
		t.Helper()
		if !maps.Equal(m.assigned, want) {
			t.Errorf("got %v, want %v", m.assigned, want)
		}
	}
	one, two, high := listenerID("one", 80), listenerID("two", 80), listenerID("one", 21300)
	m := plan(newPortMap(netip.MustParseAddr("127.0.0.1"), map[int32]uint16{80: 21080}, c), one, two, high)
	check(m, map[model.ListenerID]uint16{one: 21080, two: 21081, high: 21300})
	if got := m.public(two.Gateway, 80); got != 21081 {
		t.Errorf("the public port is %d", got)
	}
	if got := m.public(two.Gateway, 443); got != 443 {
		t.Errorf("a port nobody listens at became %d", got)
	}
	// Who stays keeps its port; who goes gives it to a newcomer, though our own Envoy still holds it.
	check(plan(m, two, high), map[model.ListenerID]uint16{two: 21081, high: 21300})
	l, err := net.Listen("tcp", "127.0.0.1:21080") // as our Envoy does
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	three := listenerID("three", 80)
	check(plan(m, two, three), map[model.ListenerID]uint16{two: 21081, three: 21080})

	for port, want := range map[int32]uint16{81: 8081, 443: 8443, 8000: 8000, 65535: 65535} {
		if got := m.wanted(port); got != want {
			t.Errorf("port %d is wanted at %d, want %d", port, got, want)
		}
	}
	var beyond *PortError
	if _, err := m.plan([]model.ListenerID{listenerID("one", 65535), listenerID("two", 65535)}); !errors.As(err, &beyond) {
		t.Errorf("beyond the last port: %v", err)
	}
}

func TestPortMapOccupied(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	c, err := openClaims(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := newPortMap(netip.MustParseAddr("127.0.0.1"), map[int32]uint16{80: port}, c)
	free, occupied := listenerID("a", 21301), listenerID("z", 80)
	_, err = m.plan([]model.ListenerID{free, occupied})
	if err == nil || !strings.Contains(err.Error(), "--port 80=PORT") || len(m.assigned) != 0 {
		t.Errorf("an occupied port: %v, %v", err, m.assigned)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.plan([]model.ListenerID{free, occupied}); err != nil {
		t.Errorf("the port is free again: %v", err)
	}
}

func TestParseFlags(t *testing.T) {
	for _, bad := range []string{"", "80", "80=", "=80", "80=0", "80=65536", "a=b"} {
		if _, err := ParsePorts([]string{bad}); err == nil {
			t.Errorf("--port %q is accepted", bad)
		}
	}
	for _, bad := range []string{"", "shop", "shop=", "shop:8080=", "=1.2.3.4:80", "/shop=1.2.3.4:80", "shop:0=1.2.3.4:80", "shop=1.2.3.4"} {
		if _, err := ParseEndpoints([]string{bad}); err == nil {
			t.Errorf("--endpoint %q is accepted", bad)
		}
	}
	got, err := ParseEndpoints([]string{"shop=127.0.0.1:3000", "team/cart:81=[::1]:3001"})
	if err != nil || got[0].Service.String() != "default/shop" || got[0].Port != 0 || got[0].Address.String() != "127.0.0.1:3000" ||
		got[1].Service.String() != "team/cart" || got[1].Port != 81 || got[1].Address.String() != "[::1]:3001" {
		t.Errorf("got %+v, %v", got, err)
	}
}
