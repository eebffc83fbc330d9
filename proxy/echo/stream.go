package echo

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// patience is how long a target that may have to speak first waits for its client.
	patience = time.Second
	// handshakeTime bounds a TLS handshake.
	handshakeTime = 10 * time.Second
	// tlsHandshake is the first byte of TLS (RFC 8446, 5.1: the content type of a handshake).
	tlsHandshake = 22
)

// begin finds out what is spoken on a new connection, which is tracked.
func (s *Server) begin(conn net.Conn) {
	t, ok := s.target(addrPort(conn.LocalAddr()), false)
	if !ok {
		s.handOver(conn) // whatever it says: there is nothing here
		return
	}
	if t.speech == Stream {
		s.stream(conn, t.Target)
		return
	}
	if t.speech&Stream != 0 {
		_ = conn.SetReadDeadline(time.Now().Add(patience)) // a connection without deadlines waits
	}
	head := make([]byte, 64)
	n, err := conn.Read(head)
	_ = conn.SetReadDeadline(time.Time{})
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.drop(conn)
		return
	}
	head = head[:n]
	begun := &begunConn{Conn: conn, head: head}
	switch {
	case n > 0 && head[0] == tlsHandshake:
		s.endTLS(begun, t)
	case t.speech == HTTP, t.speech&HTTP != 0 && looksLikeHTTP(head):
		s.handOver(begun)
	default:
		s.stream(begun, t.Target)
	}
}

// endTLS answers inside of TLS.
func (s *Server) endTLS(conn *begunConn, t target) {
	if s.options.Certificate == nil {
		s.drop(conn)
		return
	}
	inner := tls.Server(conn, s.tlsConfig())
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	if err := inner.HandshakeContext(ctx); err != nil {
		s.drop(conn)
		return
	}
	if alpn := inner.ConnectionState().NegotiatedProtocol; alpn == "h2" || alpn == "http/1.1" || t.speech&HTTP != 0 {
		s.give(inner)
		s.untrack(conn.Conn)
		return
	}
	defer s.drop(conn)
	converse(inner, t.Target)
}

// tlsConfig takes HTTP where a client offers it, else whatever it offers first: this backend speaks everything.
func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{
				MinVersion: tls.VersionTLS12,
				NextProtos: append([]string{"h2", "http/1.1"}, hello.SupportedProtos...),
				GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
					return s.options.Certificate(hello.ServerName)
				},
			}, nil
		},
	}
}

// stream answers on a connection that speaks nothing in particular, until its end.
func (s *Server) stream(conn net.Conn, t Target) {
	defer s.drop(conn)
	converse(conn, t)
}

func converse(conn net.Conn, t Target) {
	if _, err := io.WriteString(conn, t.String()+"\n"); err != nil {
		return
	}
	// The client ends what it sends, gets the rest of it back, and then the end.
	_, _ = io.Copy(conn, onlyReader{conn}) // an error: the client is gone
	if c, ok := conn.(*tls.Conn); ok {
		_ = c.CloseWrite() // "close notify": nothing was cut off
	}
}

// onlyReader keeps io.Copy from asking a socket to be spliced into itself.
type onlyReader struct{ io.Reader }

func (s *Server) drop(conn net.Conn) {
	if b, ok := conn.(*begunConn); ok {
		conn = b.Conn
	}
	_ = conn.Close() // it was over before
	s.untrack(conn)
}

// looksLikeHTTP tells whether a request begins like this: a method, in capital letters, and a space.
func looksLikeHTTP(head []byte) bool {
	method, _, found := bytes.Cut(head, []byte(" "))
	if !found || len(method) == 0 {
		return false
	}
	for _, c := range method {
		if (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return true
}

// begunConn is a connection of which something has been read.
type begunConn struct {
	net.Conn
	head []byte // is read again first
}

func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}

// handOver is a listener whose connections were accepted elsewhere.
type handOver struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// Accept implements net.Listener.
func (h *handOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handOver) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handOver) Addr() net.Addr { return &net.TCPAddr{} }

// startHTTP serves the connections that are handed over, from the first listener on. It is called under the lock.
func (s *Server) startHTTP() {
	if s.serving {
		return
	}
	s.serving = true
	s.accepted.Go(func() { _ = s.http.Serve(s.handed) }) // it ends with Close, and only then
}

// handOver gives a connection to http, which closes it in time.
func (s *Server) handOver(conn net.Conn) {
	tracked := conn
	if b, ok := conn.(*begunConn); ok {
		tracked = b.Conn
	}
	s.give(conn)
	s.untrack(tracked)
}

func (s *Server) give(conn net.Conn) {
	select {
	case s.handed.conns <- conn:
	case <-s.handed.done:
		_ = conn.Close() // so does everything
	}
}
