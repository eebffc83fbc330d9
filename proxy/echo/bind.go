package echo

import (
	"errors"
	"net"
	"net/netip"
)

// The addresses of targets, all of 127.64.0.0/10 but the first, which reads like a network's name.
var (
	firstAddress = netip.AddrFrom4([4]byte{127, 64, 0, 1})
	lastAddress  = netip.AddrFrom4([4]byte{127, 127, 255, 255})
)

// perAddress gives each target an address; one socket, already served, takes the connections of all.
type perAddress struct {
	port uint16
	// next only moves on and begins again after the last address: an address stays unused for as long as possible after
	// its target is gone, so that a connection which outlives a target does not reach another.
	next netip.Addr
}

func (b *perAddress) bind(taken func(netip.AddrPort) bool) (netip.AddrPort, error) {
	start := b.next
	for {
		place := netip.AddrPortFrom(b.next, b.port)
		if b.next = b.next.Next(); lastAddress.Less(b.next) {
			b.next = firstAddress
		}
		if !taken(place) {
			return place, nil
		}
		if b.next == start {
			return netip.AddrPort{}, errors.New("all addresses of 127.64.0.0/10 are taken")
		}
	}
}

func (b *perAddress) release(netip.AddrPort) {}

// perPort gives each target a listener of its own on 127.0.0.1.
type perPort struct {
	serve     func(net.Listener)
	listeners map[netip.AddrPort]net.Listener
}

func (b *perPort) bind(func(netip.AddrPort) bool) (netip.AddrPort, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	place := addrPort(l.Addr())
	b.listeners[place] = l
	b.serve(l)
	return place, nil
}

func (b *perPort) release(place netip.AddrPort) {
	b.listeners[place].Close()
	delete(b.listeners, place)
}

// loopbackOnly closes connections to any other local address at once. The device alone does not keep them out: a
// connection from this machine to its own outside address also arrives on the loopback device.
type loopbackOnly struct{ net.Listener }

func (l loopbackOnly) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || addrPort(conn.LocalAddr()).Addr().IsLoopback() {
			return conn, err
		}
		conn.Close()
	}
}

// addrPort is the address of a TCP socket; the zero value for any other.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
