// Package echo is the backend of Services that have none: it answers every HTTP request with a JSON description of what
// arrived, so that a route can be tried before its Service exists.
//
// A Target is one port of one Service. Each target has an endpoint, an address and port of its own on loopback, and by the
// endpoint a request arrives at, the server knows which Service was meant: nothing in the request has to say so.
//
// Thousands of targets need no thousand sockets. On Linux one socket takes the connections for all of them: it is bound to
// every address but restricted to the loopback device, all of 127.0.0.0/8 is local there, and each target gets an
// address out of 127.64.0.0/10. Where a socket cannot be tied to a device, each target gets a port of 127.0.0.1, at the
// price of one socket and one goroutine each.
package echo

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Target is one port of one Service, and the identity of an endpoint.
type Target struct {
	Namespace string
	Service   string
	Port      int32
	// Protocol tells targets apart that differ in nothing else; what a target answers does not depend on it.
	Protocol string
}

// String gives "namespace/service/8080/HTTP".
func (t Target) String() string {
	return fmt.Sprintf("%s/%s/%d/%s", t.Namespace, t.Service, t.Port, t.Protocol)
}

// Server is the echo backend. Its methods may be called at the same time.
type Server struct {
	http *http.Server

	mu       sync.RWMutex // guards what follows
	binder   binder       // nil until the first endpoint is asked for
	targets  map[netip.AddrPort]Target
	places   map[Target]netip.AddrPort
	closed   bool
	accepted sync.WaitGroup // one for each listener that is being served
}

// A binder decides at which addresses the targets live. It is called under the lock of its Server.
type binder interface {
	// bind gives a new target its endpoint; taken tells which endpoints others have. Connections arrive from then on.
	bind(taken func(netip.AddrPort) bool) (netip.AddrPort, error)
	// release ends what bind began.
	release(netip.AddrPort)
}

// New returns a server without an endpoint. It holds no socket before the first one is asked for.
func New() *Server {
	s := &Server{
		targets: map[netip.AddrPort]Target{},
		places:  map[Target]netip.AddrPort{},
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	// No timeout: the client is a proxy that keeps connections for later, and one closed here just when a request is
	// sent would be answered with an error that no route deserves.
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.answer),
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is echoed too
		ErrorLog:                     log.New(io.Discard, "", 0),
	}
	return s
}

// Endpoint returns where t is served, and begins to serve it there if it is new. The endpoint is the same until Forget.
// It fails when no socket can be had, and after Close.
func (s *Server) Endpoint(t Target) (netip.AddrPort, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place, ok := s.places[t]; ok {
		return place, nil
	}
	if s.closed {
		return netip.AddrPort{}, fmt.Errorf("serving echo for %s: %w", t, http.ErrServerClosed)
	}
	if s.binder == nil {
		s.binder = s.newBinder()
	}
	place, err := s.binder.bind(func(p netip.AddrPort) bool {
		_, ok := s.targets[p]
		return ok
	})
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("serving echo for %s: %w", t, err)
	}
	s.targets[place], s.places[t] = t, place
	return place, nil
}

// Forget stops serving t; without an endpoint it does nothing. Requests that still arrive there, also on connections that
// are open, are answered 503. Call it when no route leads there any more.
func (s *Server) Forget(t Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place, ok := s.places[t]
	if !ok {
		return
	}
	delete(s.targets, place)
	delete(s.places, t)
	s.binder.release(place)
}

// Close closes all sockets and connections and returns when nothing of the server is left but requests that are being
// answered. A second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.targets, s.places = map[netip.AddrPort]Target{}, map[Target]netip.AddrPort{}
	s.mu.Unlock()

	err := s.http.Close()
	s.accepted.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the echo backend: %w", err)
	}
	return nil
}

// newBinder prefers the one socket for all. Whatever refuses it, an old kernel or a sandbox, a port for each works.
func (s *Server) newBinder() binder {
	listener, err := listenAnyLoopback()
	if err != nil {
		return &perPort{serve: s.serve, listeners: map[netip.AddrPort]net.Listener{}}
	}
	s.serve(listener)
	return &perAddress{port: addrPort(listener.Addr()).Port(), next: firstAddress}
}

func (s *Server) serve(l net.Listener) {
	s.accepted.Go(func() {
		// It ends when the listener is closed, by Close or by Forget, and only then.
		_ = s.http.Serve(loopbackOnly{l})
	})
}

func (s *Server) target(place netip.AddrPort) (Target, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, ok := s.targets[place]
	return t, ok
}
