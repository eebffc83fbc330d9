package echo

import (
	"errors"
	"net"
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

type fakeConn struct {
	net.Conn
	local  net.Addr
	closed bool
}

func (c *fakeConn) LocalAddr() net.Addr { return c.local }
func (c *fakeConn) Close() error        { c.closed = true; return nil }

type fakeListener struct {
	net.Listener
	conns []*fakeConn
}

func (l *fakeListener) Accept() (net.Conn, error) {
	if len(l.conns) == 0 {
		return nil, net.ErrClosed
	}
	conn := l.conns[0]
	l.conns = l.conns[1:]
	return conn, nil
}

func TestLoopbackOnly(t *testing.T) {
	outside := &fakeConn{local: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}}
	inside := &fakeConn{local: &net.TCPAddr{IP: net.IPv4(127, 64, 0, 1), Port: 80}}
	l := loopbackOnly{&fakeListener{conns: []*fakeConn{outside, inside}}}
	if conn, err := l.Accept(); err != nil || conn != net.Conn(inside) {
		t.Errorf("accepted %v, %v", conn, err)
	}
	if !outside.closed || inside.closed {
		t.Errorf("outside closed: %v, inside closed: %v", outside.closed, inside.closed)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener's own error is lost: %v", err)
	}
}
