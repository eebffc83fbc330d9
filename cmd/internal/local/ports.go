package local

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"headgate.dev/proxy/model"
)

// portMap says at which local port each listener is bound. It does not change: plan gives the next one. A listener
// keeps its port for as long as it is there, for the bookmarks of clients.
type portMap struct {
	listen   netip.Addr
	fixed    map[int32]uint16 // --port
	claims   claims
	assigned map[model.ListenerID]uint16
	held     map[socketAddr]claim // of every address that is assigned; shared with the map before and the one after
	fresh    []model.ListenerID   // those that were not in the map before
}

func newPortMap(listen netip.Addr, fixed map[int32]uint16, c claims) *portMap {
	return &portMap{listen: listen, fixed: fixed, claims: c, assigned: map[model.ListenerID]uint16{}, held: map[socketAddr]claim{}}
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
//
// The addresses of both maps are claimed until release says which of the two it is to be.
func (m *portMap) plan(ids []model.ListenerID) (*portMap, error) {
	next := newPortMap(m.listen, m.fixed, m.claims)
	for _, id := range ids {
		if port, has := m.assigned[id]; has {
			next.assign(id, port, m.held[m.at(id, port)])
		}
	}
	for _, id := range ids {
		if _, has := next.assigned[id]; has {
			continue
		}
		port, held, err := next.free(id, m.held)
		if err != nil {
			next.release(m)
			return nil, err
		}
		next.assign(id, port, held)
		next.fresh = append(next.fresh, id)
	}
	return next, nil
}

func (m *portMap) assign(id model.ListenerID, port uint16, held claim) {
	m.assigned[id] = port
	m.held[m.at(id, port)] = held
}

// release gives up every address that the map kept does not have; nil keeps none.
func (m *portMap) release(kept *portMap) {
	for a, c := range m.held {
		if kept != nil {
			if _, has := kept.held[a]; has {
				continue
			}
		}
		c.release()
	}
}

func (m *portMap) at(id model.ListenerID, port uint16) socketAddr {
	return socketAddr{addr: netip.AddrPortFrom(m.listen, port), udp: id.UDP}
}

func (m *portMap) wanted(port int32) uint16 {
	if local, ok := m.fixed[port]; ok {
		return local
	}
	return DefaultPort(port)
}

// DefaultPort is where a port of a Gateway is served, unless it is taken or another is asked for: those below 1024 need rights.
func DefaultPort(port int32) uint16 {
	switch {
	case port >= 1024:
		return uint16(port)
	case port == 443:
		return 8443
	default:
		return uint16(port + 8000)
	}
}

// free finds a port for a listener, and claims it. What is ours is held by our own Envoy, which passes it on.
func (m *portMap) free(id model.ListenerID, ours map[socketAddr]claim) (uint16, claim, error) {
	wanted := m.wanted(id.Port)
	for port := wanted; port > 0; port++ {
		at := m.at(id, port)
		if _, taken := m.held[at]; taken {
			continue
		}
		if held, has := ours[at]; has {
			return port, held, nil
		}
		held, err := m.claims.take(at)
		if err == nil {
			if err = bindable(at); err == nil {
				return port, held, nil
			}
			held.release()
		}
		if port == wanted {
			return 0, nil, &PortError{ID: id, At: at.addr, Err: err}
		}
	}
	return 0, nil, &PortError{ID: id, At: netip.AddrPortFrom(m.listen, wanted), Err: errors.New("no port up to 65535 is free")}
}

// bind is envoy.Options.Bind. The map has every listener that the engine knows, except in a detached Stack, which has no ports but
// those of the Gateways.
func (m *portMap) bind(id model.ListenerID) netip.AddrPort {
	port, has := m.assigned[id]
	if !has {
		port = uint16(id.Port)
	}
	return netip.AddrPortFrom(m.listen, port)
}

// redirected is envoy.Options.PublicPort: a redirect that stays where it is leads to where the port of the Gateway is bound. So does
// one to a name that means this machine wherever it is asked for; any other host has ports of its own.
func (m *portMap) redirected(gateway model.Name, port int32, host string) int32 {
	if host == "" || host == localhost || strings.HasSuffix(host, "."+localhost) {
		return m.public(gateway, port)
	}
	return port
}

// public is the local port of a port of a Gateway.
func (m *portMap) public(gateway model.Name, port int32) int32 {
	return m.local(model.ListenerID{Gateway: gateway, Port: port})
}

// local is the port on this machine; that of the Gateway where nothing is bound.
func (m *portMap) local(id model.ListenerID) int32 {
	if local, ok := m.assigned[id]; ok {
		return int32(local)
	}
	return id.Port
}
