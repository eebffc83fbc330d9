package echo

import (
	"net"
	"net/netip"
)

// NewPerPort is New on a system that does not tie sockets to devices.
func NewPerPort() *Server {
	s := New()
	s.binder = &perPort{serve: s.serve, listeners: map[netip.AddrPort]net.Listener{}}
	return s
}
