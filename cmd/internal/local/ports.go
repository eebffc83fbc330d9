package local

import (
	"fmt"
	"net"
	"net/netip"

	"headgate.dev/proxy/model"
)

// portMap decides at which local port each listener is bound. A listener keeps its port for as long as the process
// runs, also while its Gateway is gone: Envoy may hold the old socket for a while, and a client its bookmark.
type portMap struct {
	listen   netip.Addr
	fixed    map[int32]uint16 // --port
	assigned map[model.ListenerID]uint16
	taken    map[uint16]model.ListenerID
	fresh    []model.ListenerID // got their port from the last assign
}

func newPortMap(listen netip.Addr, fixed map[int32]uint16) *portMap {
	return &portMap{
		listen: listen, fixed: fixed,
		assigned: map[model.ListenerID]uint16{}, taken: map[uint16]model.ListenerID{},
	}
}

// assign gives every listener a local port: the one --port says, else the listener's own from 1024 on, else 8000 more
// (80 → 8080, but 443 → 8443). A port that another listener of ours has makes way for the next free one; a port that
// another program has is an error, because the URL would not be the expected one.
func (m *portMap) assign(ids []model.ListenerID) error {
	m.fresh = nil
	for _, id := range ids {
		if _, has := m.assigned[id]; has {
			continue
		}
		port, err := m.free(m.wanted(id.Port), id)
		if err != nil {
			return err
		}
		m.assigned[id], m.taken[port] = port, id
		m.fresh = append(m.fresh, id)
	}
	return nil
}

func (m *portMap) wanted(port int32) uint16 {
	if local, ok := m.fixed[port]; ok {
		return local
	}
	switch {
	case port >= 1024:
		return uint16(port)
	case port == 443:
		return 8443
	default:
		return uint16(port + 8000)
	}
}

func (m *portMap) free(port uint16, id model.ListenerID) (uint16, error) {
	moved := false
	for ; port > 0; port, moved = port+1, true {
		if _, ours := m.taken[port]; ours {
			continue
		}
		err := bindable(netip.AddrPortFrom(m.listen, port))
		if err == nil {
			return port, nil
		}
		if !moved {
			return 0, fmt.Errorf("port %d of Gateway %s cannot be served at %s:%d: %w; choose another port with --port %d=PORT",
				id.Port, id.Gateway, m.listen, port, err, id.Port)
		}
	}
	return 0, fmt.Errorf("port %d of Gateway %s: no local port up to 65535 is free; choose one with --port %d=PORT", id.Port, id.Gateway, id.Port)
}

// bindable finds out whether an address can be bound. Envoy itself would only say so after the commit was applied.
func bindable(addr netip.AddrPort) error {
	l, err := net.Listen("tcp", addr.String())
	if err != nil {
		return err
	}
	return l.Close()
}

// bind is envoy.Options.Bind.
func (m *portMap) bind(id model.ListenerID) netip.AddrPort {
	return netip.AddrPortFrom(m.listen, m.assigned[id])
}

// public is envoy.Options.PublicPort: a redirect to another port of the same Gateway leads to where that is bound.
func (m *portMap) public(gateway model.Name, port int32) int32 {
	if local, ok := m.assigned[model.ListenerID{Gateway: gateway, Port: port}]; ok {
		return int32(local)
	}
	return port
}
