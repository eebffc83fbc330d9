package echo

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
)

// The addresses of targets, all of 127.64.0.0/10 but the first, which reads like a network's name.
var (
	firstAddress = netip.AddrFrom4([4]byte{127, 64, 0, 1})
	lastAddress  = netip.AddrFrom4([4]byte{127, 127, 255, 255})
)

// newBinder prefers the one socket for all. Whatever refuses it, an old kernel or a sandbox, a port for each works.
func (s *Server) newBinder(udp bool) binder {
	addr, err := s.openShared(udp)
	if err != nil {
		return s.newPerPort(udp)
	}
	return &perAddress{port: addr.Port(), next: firstAddress}
}

func (s *Server) openShared(udp bool) (netip.AddrPort, error) {
	if udp {
		conn, err := listenAnyLoopbackUDP()
		if err != nil {
			return netip.AddrPort{}, err
		}
		packets := ipv4.NewPacketConn(conn)
		if err := packets.SetControlMessage(ipv4.FlagDst, true); err != nil {
			return netip.AddrPort{}, errors.Join(err, conn.Close())
		}
		s.serveDatagrams(conn, packets)
		return addrPort(conn.LocalAddr()), nil
	}
	l, err := listenAnyLoopback()
	if err != nil {
		return netip.AddrPort{}, err
	}
	s.serve(l)
	return addrPort(l.Addr()), nil
}

func (s *Server) newPerPort(udp bool) *perPort {
	b := &perPort{sockets: map[netip.AddrPort]io.Closer{}, open: func() (netip.AddrPort, io.Closer, error) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return netip.AddrPort{}, nil, err
		}
		s.serve(l)
		return addrPort(l.Addr()), l, nil
	}}
	if udp {
		b.open = func() (netip.AddrPort, io.Closer, error) {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				return netip.AddrPort{}, nil, err
			}
			s.serveDatagrams(conn, ipv4.NewPacketConn(conn))
			return addrPort(conn.LocalAddr()), conn, nil
		}
	}
	return b
}

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

// perPort gives each target a socket of its own on 127.0.0.1.
type perPort struct {
	open    func() (netip.AddrPort, io.Closer, error) // a socket that is served
	sockets map[netip.AddrPort]io.Closer
}

func (b *perPort) bind(func(netip.AddrPort) bool) (netip.AddrPort, error) {
	place, socket, err := b.open()
	if err != nil {
		return netip.AddrPort{}, err
	}
	b.sockets[place] = socket
	return place, nil
}

func (b *perPort) release(place netip.AddrPort) {
	_ = b.sockets[place].Close() // that it is gone is what was wanted
	delete(b.sockets, place)
}

// serve accepts connections until the listener is closed. It is called under the lock.
//
// Those to any other local address are closed at once. The device alone does not keep them out: a connection from this
// machine to its own outside address also arrives on the loopback device.
func (s *Server) serve(l net.Listener) {
	s.open[l] = struct{}{}
	s.startHTTP()
	s.accepted.Go(func() {
		defer s.untrack(l)
		for {
			conn, err := l.Accept()
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil:
				s.rest()
			case addrPort(conn.LocalAddr()).Addr().IsLoopback() && s.track(conn):
				go s.begin(conn)
			default:
				_ = conn.Close() // it was none of ours
			}
		}
	})
}

// rest waits a little after an error that may pass, such as too many open files, or until the server is closed.
func (s *Server) rest() {
	select {
	case <-time.After(5 * time.Millisecond):
	case <-s.handed.done:
	}
}

// addrPort is the address of a socket; the zero value for any other.
func addrPort(a net.Addr) netip.AddrPort {
	ip, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.AddrPort{}
	}
	p := ip.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
