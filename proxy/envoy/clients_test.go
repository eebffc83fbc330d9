package envoy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

const clientPatience = 5 * time.Second

// tlsClient is one connection with TLS to a port of the gateway infra/public.
type tlsClient struct {
	port   string // of the Gateway
	sni    string
	h2     bool
	config *tls.Config // nil: trust everybody
}

func (p *proxy) dialTLS(port string, config *tls.Config) (*tls.Conn, error) {
	conn, err := net.Dial("tcp", p.ports["infra/public/"+port])
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(clientPatience)); err != nil {
		return nil, err
	}
	c := tls.Client(conn, config)
	if err := c.Handshake(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// over makes requests with c, all on one connection. Errors of the connection are status 0.
func (p *proxy) over(t *testing.T, c tlsClient) func(host, path string, headers ...string) answer {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true} // the name is checked where it matters
	if c.config != nil {
		config = c.config.Clone()
	}
	config.ServerName = c.sni
	via := &http.Transport{Protocols: new(http.Protocols), DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		config.NextProtos = []string{"http/1.1"}
		if c.h2 {
			config.NextProtos = []string{"h2"}
		}
		return p.dialTLS(c.port, config)
	}}
	via.Protocols.SetHTTP1(!c.h2)
	via.Protocols.SetHTTP2(c.h2)
	t.Cleanup(via.CloseIdleConnections)
	return func(host, path string, headers ...string) answer {
		t.Helper()
		req, err := http.NewRequest("GET", "https://gateway"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Add(headers[i], headers[i+1])
		}
		resp, err := via.RoundTrip(req)
		if err != nil {
			return answer{body: err.Error()}
		}
		defer resp.Body.Close()
		return read(t, resp)
	}
}

// line opens a connection, says hello and gives the name that the backend says first and the echo.
func line(conn io.ReadWriter) (name string, err error) {
	in := bufio.NewReader(conn)
	if name, err = in.ReadString('\n'); err != nil {
		return "", err
	}
	if _, err = io.WriteString(conn, "hello\n"); err != nil {
		return name, err
	}
	echo, err := in.ReadString('\n')
	if err == nil && echo != "hello\n" {
		err = errors.New("echo " + echo)
	}
	return name[:len(name)-1], err
}

// tcpBackend says its name and echoes; with a certificate over TLS.
func tcpBackend(t *testing.T, name string, certificate *tls.Config) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort(l.Addr().String())
	if certificate != nil {
		l = tls.NewListener(l, certificate)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, name+"\n")
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return address
}

// udpBackend answers every datagram with its name.
func udpBackend(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(append([]byte(name+" "), buf[:n]...), from)
		}
	}()
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

// dialTCP opens a connection to a port of the Gateway.
func (p *proxy) dialTCP(t *testing.T, port string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.ports["infra/public/"+port])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(clientPatience)); err != nil {
		t.Fatal(err)
	}
	return conn
}
