package echo

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// maxDatagram is the largest payload of UDP over IPv4.
const maxDatagram = 65507

// serveDatagrams answers datagrams until the socket is closed. It is called under the lock.
func (s *Server) serveDatagrams(conn *net.UDPConn, packets *ipv4.PacketConn) {
	s.open[conn] = struct{}{}
	s.accepted.Go(func() {
		defer s.untrack(conn)
		own := addrPort(conn.LocalAddr())
		in, out := make([]byte, maxDatagram), make([]byte, 0, maxDatagram)
		for {
			n, control, from, err := packets.ReadFrom(in)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				s.rest()
				continue
			}
			place, source := own, (*ipv4.ControlMessage)(nil)
			if control != nil { // the socket is everybody's
				dst, _ := netip.AddrFromSlice(control.Dst.To4())
				place, source = netip.AddrPortFrom(dst, own.Port()), &ipv4.ControlMessage{Src: control.Dst}
			}
			t, ok := s.target(place, true)
			// What comes from a target itself would go round for ever.
			if _, loop := s.target(addrPort(from), true); !ok || loop {
				continue
			}
			out = append(append(append(out[:0], t.String()...), '\n'), in[:n]...)
			_, _ = packets.WriteTo(out[:min(len(out), maxDatagram)], source, from) // datagrams may get lost
		}
	})
}
