package local

import (
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
	m := newPortMap(netip.MustParseAddr("127.0.0.1"), map[int32]uint16{80: 21080})
	one, two, high := listenerID("one", 80), listenerID("two", 80), listenerID("one", 21300)
	if err := m.assign([]model.ListenerID{one, two, high}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[model.ListenerID]uint16{one: 21080, two: 21081, high: 21300} {
		if got := m.bind(id).Port(); got != want {
			t.Errorf("%v is bound at %d, want %d", id, got, want)
		}
	}
	last := []model.ListenerID{listenerID("one", 65535), listenerID("two", 65535)}
	if err := m.assign(last); err == nil || !strings.Contains(err.Error(), "no local port") {
		t.Errorf("beyond the last port: %v, %d", err, m.bind(last[1]).Port())
	}
	if got := m.public(two.Gateway, 80); got != 21081 {
		t.Errorf("the public port is %d", got)
	}
	if got := m.public(two.Gateway, 443); got != 443 {
		t.Errorf("a port nobody listens at became %d", got)
	}
	for port, want := range map[int32]uint16{81: 8081, 443: 8443, 8000: 8000, 65535: 65535} {
		if got := m.wanted(port); got != want {
			t.Errorf("port %d is wanted at %d, want %d", port, got, want)
		}
	}
}

func TestPortMapOccupied(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	m := newPortMap(netip.MustParseAddr("127.0.0.1"), map[int32]uint16{80: port})
	err = m.assign([]model.ListenerID{listenerID("one", 80)})
	if err == nil || !strings.Contains(err.Error(), "--port 80=PORT") {
		t.Errorf("an occupied port: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.assign([]model.ListenerID{listenerID("one", 80)}); err != nil {
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
