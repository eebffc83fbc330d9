// Package echo is the backend of Services that have none: it tells every client which Service it has reached and what
// arrived there, so that a route can be tried before its Service exists.
//
// A Target is one port of one Service. Each target has an endpoint, an address and port of its own on loopback, and by the
// endpoint something arrives at, the server knows which Service was meant: nothing in what is sent has to say so.
//
// The Speech of a target is what its clients are known to speak. HTTP requests are answered with a description as JSON,
// over HTTP/1 and HTTP/2 with prior knowledge alike; any method of gRPC and a WebSocket are answered with a first message
// and then what they send. A stream, which is any other use of TCP, gets a first line and then what it sends; a
// datagram comes back behind that line. First line and first message are "namespace/service:port". TLS ends at the server.
//
// Thousands of targets need no thousand sockets. On Linux one socket takes the connections for all of them, and one the
// datagrams: it is bound to every address but restricted to the loopback device, all of 127.0.0.0/8 is local there, and
// each target gets an address out of 127.64.0.0/10. Where a socket cannot be tied to a device, each target gets a port of
// 127.0.0.1, at the price of one socket and one goroutine each.
package echo

import (
	"crypto/tls"
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
	// UDP tells datagrams from connections: a Service may have both at one port.
	UDP bool
}

// String gives "namespace/service:8080", which is the first that clients get.
func (t Target) String() string { return fmt.Sprintf("%s/%s:%d", t.Namespace, t.Service, t.Port) }

// Speech is what the clients of a target speak over TCP: one of the constants, or several together.
type Speech uint8

const (
	// HTTP is HTTP/1, HTTP/2 with prior knowledge and all that is built on them, with or without TLS.
	HTTP Speech = 1 << iota
	// Stream is anything else. If it is all, the target speaks first; beside others, where the client must begin, after a
	// second of silence.
	Stream
	// TLS is a stream inside TLS, or HTTP if the client offers that by ALPN.
	TLS
)

// Options of a Server.
type Options struct {
	// Certificate gives the certificate for a server name (SNI), which may be empty. Without it, and on an error,
	// connections that begin with TLS are closed.
	Certificate func(serverName string) (*tls.Certificate, error)
}

// Server is the echo backend. Its methods may be called at the same time.
type Server struct {
	options Options
	http    *http.Server
	handed  *handOver // connections on which HTTP is spoken, for http

	mu       sync.RWMutex    // guards what follows
	binders  map[bool]binder // by Target.UDP; made when the first endpoint is asked for
	targets  map[socket]target
	places   map[Target]netip.AddrPort
	open     map[io.Closer]struct{} // sockets, and connections that http does not have
	serving  bool                   // http serves what is handed to it
	closed   bool
	accepted sync.WaitGroup // one for each socket that is being served
}

type target struct {
	Target
	speech Speech
}

// socket is an endpoint with its transport.
type socket struct {
	addr netip.AddrPort
	udp  bool
}

// A binder decides at which addresses the targets live. It is called under the lock of its Server.
type binder interface {
	// bind gives a new target its endpoint; taken tells which endpoints others have. Connections arrive from then on.
	bind(taken func(netip.AddrPort) bool) (netip.AddrPort, error)
	// release ends what bind began.
	release(netip.AddrPort)
}

// New returns a server without an endpoint. It holds no socket before the first one is asked for.
func New(o Options) *Server {
	s := &Server{
		options: o,
		handed:  &handOver{conns: make(chan net.Conn), done: make(chan struct{})},
		binders: map[bool]binder{},
		targets: map[socket]target{},
		places:  map[Target]netip.AddrPort{},
		open:    map[io.Closer]struct{}{},
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
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
// A new target expects HTTP. It fails when no socket can be had, and after Close.
func (s *Server) Endpoint(t Target) (netip.AddrPort, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place, ok := s.places[t]; ok {
		return place, nil
	}
	if s.closed {
		return netip.AddrPort{}, fmt.Errorf("serving echo for %s: %w", t, http.ErrServerClosed)
	}
	b := s.binders[t.UDP]
	if b == nil {
		b = s.newBinder(t.UDP)
		s.binders[t.UDP] = b
	}
	place, err := b.bind(func(p netip.AddrPort) bool {
		_, ok := s.targets[socket{p, t.UDP}]
		return ok
	})
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("serving echo for %s: %w", t, err)
	}
	s.targets[socket{place, t.UDP}], s.places[t] = target{t, HTTP}, place
	return place, nil
}

// Expect says what is spoken to t on connections that begin from now on; without an endpoint it does nothing.
func (s *Server) Expect(t Target, speech Speech) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place, ok := s.places[t]; ok {
		s.targets[socket{place, t.UDP}] = target{t, speech}
	}
}

// Forget stops serving t; without an endpoint it does nothing. Requests that still arrive there, also on connections that
// are open, are answered 503; streams that are open go on. Call it when no route leads there any more.
func (s *Server) Forget(t Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place, ok := s.places[t]
	if !ok {
		return
	}
	delete(s.targets, socket{place, t.UDP})
	delete(s.places, t)
	s.binders[t.UDP].release(place)
}

// Close closes all sockets and connections and returns when nothing of the server is left but requests that are being
// answered. A second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.targets, s.places = map[socket]target{}, map[Target]netip.AddrPort{}
	open := s.open
	s.open = map[io.Closer]struct{}{}
	s.mu.Unlock()

	for c := range open {
		_ = c.Close() // the other side may have done so
	}
	_ = s.handed.Close()
	err := s.http.Close()
	s.accepted.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the echo backend: %w", err)
	}
	return nil
}

// track keeps a socket or connection to be closed by Close; it tells whether that is not too late.
func (s *Server) track(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.open[c] = struct{}{}
	}
	return !s.closed
}

func (s *Server) untrack(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func (s *Server) target(place netip.AddrPort, udp bool) (target, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, ok := s.targets[socket{place, udp}]
	return t, ok
}
