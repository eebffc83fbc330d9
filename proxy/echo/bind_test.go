package echo

import (
	"net/netip"
	"testing"
)

func TestAddressesAreUsedInTurn(t *testing.T) {
	b := &perAddress{port: 80, next: lastAddress.Prev()}
	taken := map[string]bool{"127.64.0.1:80": true}
	var got []string
	for range 4 {
		place, err := b.bind(func(p netip.AddrPort) bool { return taken[p.String()] })
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, place.String())
	}
	want := [4]string{"127.127.255.254:80", "127.127.255.255:80", "127.64.0.2:80", "127.64.0.3:80"}
	if [4]string(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if place, err := b.bind(func(netip.AddrPort) bool { return true }); err == nil {
		t.Errorf("%v was given away although all are taken", place)
	}
}
