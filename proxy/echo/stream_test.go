package echo_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"headgate.dev/proxy/echo"
)

var database = echo.Target{Namespace: "team-a", Service: "database", Port: 5432}

func dial(t *testing.T, network string, place netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, place.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// converse reads the first line, says something, ends, and reads the rest.
func converse(t *testing.T, conn net.Conn, say string) (line, rest string) {
	t.Helper()
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, say); err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return line, string(all)
}

func TestStream(t *testing.T) {
	for kind, s := range newServers(t) {
		// Beside others, too: a client that waits for the server is not let wait for ever.
		for speech, name := range map[echo.Speech]string{echo.Stream: "stream", echo.Stream | echo.HTTP: "with HTTP", echo.Stream | echo.TLS: "with TLS"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				place := endpoint(t, s, database)
				s.Expect(database, speech)
				line, rest := converse(t, dial(t, "tcp", place), "SELECT 1;\nSELECT 2;")
				if line != "team-a/database:5432\n" || rest != "SELECT 1;\nSELECT 2;" {
					t.Errorf("got %q, %q", line, rest)
				}
			})
		}
	}
}

func TestStreamBesideHTTP(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	place := endpoint(t, s, database)
	s.Expect(database, echo.Stream|echo.HTTP)
	for name, h2c := range map[string]bool{"HTTP/1": false, "h2c": true} {
		if _, body := get(t, newClient(t, h2c), place); answerOf(t, body).Service != "database" {
			t.Errorf("%s: %s", name, body)
		}
	}
	conn := dial(t, "tcp", place)
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if _, rest := converse(t, conn, "x"); rest != "hello\nx" {
		t.Errorf("got %q", rest)
	}
}

func TestDatagrams(t *testing.T) {
	for kind, s := range newServers(t) {
		t.Run(kind, func(t *testing.T) {
			dns, other := echo.Target{Namespace: "n", Service: "dns", Port: 53, UDP: true}, echo.Target{Namespace: "n", Service: "other", Port: 53, UDP: true}
			endpoint(t, s, echo.Target{Namespace: "n", Service: "dns", Port: 53})
			for _, target := range []echo.Target{dns, other} {
				conn := dial(t, "udp", endpoint(t, s, target)) // takes answers from there only
				for _, say := range []string{"one", "", strings.Repeat("x", 60000)} {
					if _, err := io.WriteString(conn, say); err != nil {
						t.Fatal(err)
					}
					in := make([]byte, 1<<16)
					n, err := conn.Read(in)
					if want := target.String() + "\n" + say; err != nil || string(in[:n]) != want {
						t.Errorf("got %.40q, %v, want %.40q", in[:n], err, want)
					}
				}
			}
		})
	}
}

// certificate makes a server that ends TLS, and a pool that trusts it.
func certificate(t *testing.T) (func(string) (*tls.Certificate, error), *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"shop.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return func(string) (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
	}, pool
}

func TestTLS(t *testing.T) {
	certificate, pool := certificate(t)
	s := echo.New(echo.Options{Certificate: certificate})
	t.Cleanup(func() { s.Close() })
	place := endpoint(t, s, shop)

	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		var protocols http.Protocols
		protocols.SetHTTP1(protocol == "HTTP/1.1")
		protocols.SetHTTP2(protocol == "HTTP/2.0")
		transport := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "shop.test"}}
		t.Cleanup(transport.CloseIdleConnections)
		for _, speech := range []echo.Speech{echo.HTTP, echo.TLS} {
			s.Expect(shop, speech)
			response, err := (&http.Client{Transport: transport}).Get("https://" + place.String() + "/x")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if a := answerOf(t, string(body)); err != nil || a.Service != "shop" || a.Protocol != protocol || a.ServerName != "shop.test" {
				t.Errorf("%s: got %s, %v", protocol, body, err)
			}
		}
	}
	for _, protocols := range [][]string{nil, {"postgresql", "other"}} {
		conn, err := tls.Dial("tcp", place.String(), &tls.Config{RootCAs: pool, ServerName: "shop.test", NextProtos: protocols})
		if err != nil {
			t.Fatal(err)
		}
		if line, rest := converse(t, conn, "SELECT 1"); line != "team-a/shop:8080\n" || rest != "SELECT 1" {
			t.Errorf("%v: got %q, %q", protocols, line, rest)
		}
		conn.Close()
	}
}

// Without a certificate a TLS client is told at once.
func TestTLSWithoutCertificate(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	conn := dial(t, "tcp", endpoint(t, s, shop))
	if err := tls.Client(conn, &tls.Config{ServerName: "shop.test"}).HandshakeContext(t.Context()); err == nil {
		t.Error("a handshake succeeded")
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it was left waiting")
	}
}

// Close ends what would go on for ever.
func TestCloseEndsStreams(t *testing.T) {
	s := echo.New(echo.Options{})
	place := endpoint(t, s, database)
	s.Expect(database, echo.Stream)
	silent, talking := dial(t, "tcp", endpoint(t, s, shop)), dial(t, "tcp", place)
	r := bufio.NewReader(talking)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Reader{silent, r} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection goes on")
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection is left open")
		}
	}
}
