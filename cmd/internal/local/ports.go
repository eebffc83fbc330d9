package local

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"headgate.dev/proxy/model"
)

// portMap says at which local port each listener is bound. It does not change: plan gives the next one. A listener
// keeps its port for as long as it is there, for the bookmarks of clients.
type portMap struct {
	listen   netip.Addr
	fixed    map[int32]uint16 // --port
	assigned map[model.ListenerID]uint16
	fresh    []model.ListenerID // those that were not in the map before
}

func newPortMap(listen netip.Addr, fixed map[int32]uint16) *portMap {
	return &portMap{listen: listen, fixed: fixed, assigned: map[model.ListenerID]uint16{}}
}

// PortError says that a port of a Gateway cannot be served on this machine.
type PortError struct {
	ID  model.ListenerID
	At  netip.AddrPort
	Err error
}

// Error names the remedy too.
func (e *PortError) Error() string {
	return fmt.Sprintf("port %d of Gateway %s cannot be served at %s: %v; choose another port with --port %d=PORT",
		e.ID.Port, e.ID.Gateway, e.At, e.Err, e.ID.Port)
}

// Unwrap gives the cause.
func (e *PortError) Unwrap() error { return e.Err }

// plan gives the map for exactly these listeners. One that is new gets the port that --port says, else its own from 1024
// on, else 8000 more (80 → 8080, 443 → 8443). Where another listener of ours stays, it gets the next free one; where one
// goes, it follows. A port that another program has is a PortError, because the URL would not be the expected one.
func (m *portMap) plan(ids []model.ListenerID) (*portMap, error) {
	next := newPortMap(m.listen, m.fixed)
	ours, taken := map[uint16]bool{}, map[uint16]bool{}
	for _, port := range m.assigned {
		ours[port] = true // held by our own Envoy, which passes it on
	}
	for _, id := range ids {
		if port, has := m.assigned[id]; has {
			next.assigned[id], taken[port] = port, true
		}
	}
	for _, id := range ids {
		if _, has := next.assigned[id]; has {
			continue
		}
		port, err := next.free(id, taken, ours)
		if err != nil {
			return nil, err
		}
		next.assigned[id], taken[port] = port, true
		next.fresh = append(next.fresh, id)
	}
	return next, nil
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

func (m *portMap) free(id model.ListenerID, taken, ours map[uint16]bool) (uint16, error) {
	wanted := m.wanted(id.Port)
	for port := wanted; port > 0; port++ {
		if taken[port] {
			continue
		}
		if ours[port] {
			return port, nil
		}
		at := netip.AddrPortFrom(m.listen, port)
		err := bindable(at)
		if err == nil {
			return port, nil
		}
		if port == wanted {
			return 0, &PortError{ID: id, At: at, Err: err}
		}
	}
	return 0, &PortError{ID: id, At: netip.AddrPortFrom(m.listen, wanted), Err: errors.New("no port up to 65535 is free")}
}

// bindable finds out whether an address can be bound. Envoy itself would only say so after the commit was applied.
func bindable(addr netip.AddrPort) error {
	l, err := net.Listen("tcp", addr.String())
	if err != nil {
		return err
	}
	return l.Close()
}

// bind is envoy.Options.Bind. The map has every listener that the engine knows.
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
