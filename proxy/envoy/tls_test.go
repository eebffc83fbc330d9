package envoy_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"headgate.dev/proxy/model"
)

// tlsWorld is testdata/tls.yaml with its backends.
type tlsWorld struct {
	*proxy
	ca, clients *ca
}

func startTLS(t *testing.T) *tlsWorld {
	t.Helper()
	text, err := os.ReadFile("testdata/tls.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, text)
	w := &tlsWorld{ca: newCA(t, "servers"), clients: newCA(t, "clients")}
	b := &backends{addresses: map[string]netip.AddrPort{}, log: map[string][]seen{}}
	b.handlers = map[string]func(http.ResponseWriter, *http.Request) bool{"ws": upgrade}
	for _, cl := range c.Clusters {
		service := cl.ID.Service.Name
		switch {
		case cl.ID.Protocol == model.HTTP:
			b.serve(t, service)
		case strings.HasPrefix(service, "pass"):
			server := w.ca.issue(t, service).tls()
			b.addresses[service] = tcpBackend(t, service, &tls.Config{Certificates: []tls.Certificate{server}})
		default:
			b.addresses[service] = tcpBackend(t, service, nil)
		}
		c.Endpoints = append(c.Endpoints, &model.Endpoints{Cluster: cl.ID, List: []model.Endpoint{{Address: b.addresses[service]}}})
	}
	o := c.options()
	o.Bind = loopback
	resources, problems := translate(t, c, o)
	if len(problems) > 0 {
		t.Fatalf("problems: %+v", problems)
	}
	for _, id := range c.Secrets {
		signer := w.ca
		if strings.HasPrefix(string(id), "ca/") {
			signer = w.clients
		}
		resources = append(resources, signer.secrets(t, []model.SecretID{id})...)
	}
	w.proxy = start(t, resources)
	return w
}

func upgrade(w http.ResponseWriter, r *http.Request) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil || r.Header.Get("upgrade") != "websocket" {
		return false
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
	return true
}

func TestTLS(t *testing.T) {
	w := startTLS(t)
	t.Run("hosts", func(t *testing.T) { testTLSHosts(t, w) })
	t.Run("certificates", func(t *testing.T) { testCertificates(t, w) })
	t.Run("chosen scope", func(t *testing.T) { testChosenScope(t, w) })
	t.Run("redirects", func(t *testing.T) { testTLSRedirects(t, w) })
	t.Run("WebSocket", func(t *testing.T) { testTLSWebSocket(t, w) })
	t.Run("WebSocket over HTTP/2", func(t *testing.T) { testHTTP2WebSocket(t, w) })
	t.Run("ALPN of streams", func(t *testing.T) { testStreamALPN(t, w) })
	t.Run("passthrough", func(t *testing.T) { testPassthrough(t, w) })
	t.Run("clients", func(t *testing.T) { testClientCertificates(t, w) })
	t.Run("foreign session", func(t *testing.T) { testForeignSession(t, w) })
	t.Run("rotation", func(t *testing.T) { testRotation(t, w) })
	t.Run("new chain", func(t *testing.T) { testNewChain(t, w) })
}

// testTLSHosts: a connection serves the hosts of its own listener; for those of others the client is sent away (RFC 9110,
// 15.5.20), however it writes the host and whatever the version of HTTP.
func testTLSHosts(t *testing.T, w *tlsWorld) {
	const misdirected, missing = "Misdirected Request", "Not Found"
	for _, c := range []struct{ port, sni, host, want string }{
		{"443", "shop.test", "shop.test", "shop"},
		{"443", "SHOP.Test", "shop.test", "shop"},
		{"443", "shop.test", "a.wild.test", misdirected},
		{"443", "shop.test", "exact.wild.test", misdirected},
		{"443", "shop.test", "other.test", misdirected}, // the listener without a name serves it
		{"443", "a.wild.test", "a.wild.test", "wild"},
		{"443", "a.wild.test", "b.c.wild.test", "wild"},
		{"443", "a.b.wild.test", "a.b.wild.test", "wild"},
		{"443", "a.wild.test", "exact.wild.test", missing}, // a host of the listener, without a route for the path
		{"443", "a.wild.test", "shop.test", misdirected},
		{"443", "a.wild.test", "wild.test", misdirected},
		{"443", "other.test", "other.test", "any"},
		{"443", "other.test", "another.test", "any"},
		{"443", "wild.test", "wild.test", "any"},
		{"443", "other.test", "shop.test", misdirected},
		{"443", "other.test", "a.wild.test", misdirected},
		{"443", "other.test", "x.deep.wild.test", "any"}, // its own host is more specific
		{"443", "", "other.test", "any"},
		{"443", "", "shop.test", misdirected},
		{"447", "shop.test", "shop.test", "shop"},
		{"447", "shop.test", "a.wild.test", misdirected},
		{"447", "shop.test", "other.test", missing},
		{"447", "shop.test", "wild.test", missing},
		{"447", "a.wild.test", "a.wild.test", missing},
		{"447", "a.wild.test", "shop.test", misdirected},
	} {
		for _, h2 := range []bool{false, true} {
			ask := w.over(t, tlsClient{port: c.port, sni: c.sni, h2: h2})
			for _, host := range []string{c.host, strings.ToUpper(c.host), c.host + ":443", strings.ToUpper(c.host) + ":8443", c.host + ".", c.host + ".:1", strings.ToUpper(c.host) + "."} {
				a := ask(host, "/")
				if a.service() != c.want {
					t.Errorf("port %s, SNI %q, Host %q, HTTP/2 %t: %s, want %s", c.port, c.sni, host, h2, a.service()+a.body, c.want)
				}
				if a.seen.Service != "" && a.seen.Header.Get("x-forwarded-proto") != "https" {
					t.Errorf("Host %s: the backend is told %v", host, a.seen.Header)
				}
			}
		}
	}
}

func testCertificates(t *testing.T, w *tlsWorld) {
	for sni, name := range map[string]string{
		"shop.test": "shop", "a.wild.test": "wild", "x.y.wild.test": "wild", "end.test": "end", "pass.test": "pass", "a.pass.test": "pass-wild",
		"other.test": "any", "": "any", "SHOP.test": "shop", "END.TEST": "end",
	} {
		conn, err := w.dialTLS("443", &tls.Config{ServerName: sni, InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Errorf("SNI %q: %v", sni, err)
			continue
		}
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != name {
			t.Errorf("SNI %q: the certificate of %s, want %s", sni, got, name)
		}
		_ = conn.Close()
	}
	for _, sni := range []string{"closed.test", "closed.end.test"} {
		if conn, err := w.dialTLS("443", &tls.Config{ServerName: sni, InsecureSkipVerify: true}); err == nil {
			if name, err := line(conn); err == nil {
				t.Errorf("%s is closed, and %s answers", sni, name)
			}
		}
	}
	if _, err := w.dialTLS("447", &tls.Config{ServerName: "other.test", InsecureSkipVerify: true}); err == nil {
		t.Error("a name that no listener of the port has is served")
	}
	if _, err := w.dialTLS("443", &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is served")
	}
	for _, port := range []string{"443", "446"} { // no way around TLS, to a passthrough backend least of all
		conn := w.dialTCP(t, port)
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(conn); len(got) > 0 {
			t.Errorf("port %s answers plain text: %q", port, got)
		}
	}
}

// testChosenScope: no client gets into the hosts of another listener by what it writes.
func testChosenScope(t *testing.T, w *tlsWorld) {
	for _, h2 := range []bool{false, true} {
		ask := w.over(t, tlsClient{port: "443", sni: "other.test", h2: h2})
		for _, scope := range []string{"infra/public/443/shop.test/shop.test", "infra/public/443/*.wild.test/*", "infra/public/443/shop.test/"} {
			if a := ask("other.test", "/", "x-hg-scope", scope); a.service() != "any" {
				t.Errorf("HTTP/2 %t: %s chose its scope: %s", h2, scope, a.service()+a.body)
			}
		}
	}
	for _, authority := range []string{"shop.test/shop.test", "/shop.test", "../shop.test/shop.test", "infra/public/443/shop.test/shop.test"} {
		t.Run(authority, func(t *testing.T) {
			t.Parallel()
			if status := rawHTTP2(t, w, authority); status == "200" {
				t.Error("the request is served")
			}
		})
	}
	if status := rawHTTP2(t, w, "other.test"); status != "200" {
		t.Errorf("authority other.test: %q", status)
	}
}

// rawHTTP2 sends an authority that no HTTP library would and gives the status, or what else the proxy does.
func rawHTTP2(t *testing.T, w *tlsWorld, authority string) string {
	t.Helper()
	conn, err := w.dialTLS("443", &tls.Config{ServerName: "other.test", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	framer := stream(t, conn, true, [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", authority}, {":path", "/"}})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return fmt.Sprint(f)
		}
	}
}

// stream begins HTTP/2 on a connection, with one stream that has these headers, and tells whether nothing comes after them.
func stream(t *testing.T, conn io.ReadWriter, ends bool, headers [][2]string) *http2.Framer {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range headers {
		if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: ends, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	return framer
}

func testTLSRedirects(t *testing.T, w *tlsWorld) {
	for _, c := range []struct{ sni, host, path, location string }{
		{"shop.test", "shop.test", "/old/x?q=1", "https://shop.test:8443/new/x?q=1"},
		{"shop.test", "SHOP.test:443", "/old", "https://shop.test:8443/new"},
		{"shop.test", "shop.test", "/plain", "http://shop.test/plain"},
		{"other.test", "other.test:8443", "/old/x", "https://other.test:8443/new/x"},
		{"other.test", "Other.test", "/old/x", "https://Other.test:8443/new/x"},
	} {
		for _, h2 := range []bool{false, true} {
			a := w.over(t, tlsClient{port: "443", sni: c.sni, h2: h2})(c.host, c.path)
			if got := a.header.Get("location"); a.status != 301 || got != c.location {
				t.Errorf("%s%s: %d to %s, want %s", c.host, c.path, a.status, got, c.location)
			}
		}
	}
}

func testTLSWebSocket(t *testing.T, w *tlsWorld) {
	conn, err := w.dialTLS("443", &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: Shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 101") || !strings.HasSuffix(string(got), "\r\n\r\nhello") {
		t.Errorf("%v: %s", err, got)
	}
}

// testHTTP2WebSocket: a WebSocket that a browser opens on the connection it has (RFC 8441), whatever the case of the host.
func testHTTP2WebSocket(t *testing.T, w *tlsWorld) {
	for _, authority := range []string{"shop.test", "Shop.TEST"} {
		conn, err := w.dialTLS("443", &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		framer := stream(t, conn, false, [][2]string{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":authority", authority}, {":path", "/ws"}, {"sec-websocket-version", "13"}})
		offered, status, data := false, "", ""
		for data != "hello" {
			frame, err := framer.ReadFrame()
			if err != nil {
				t.Fatalf("%s: offered %t, status %s, data %q: %v", authority, offered, status, data, err)
			}
			switch f := frame.(type) {
			case *http2.SettingsFrame:
				if v, has := f.Value(http2.SettingEnableConnectProtocol); has {
					offered = v == 1
				}
			case *http2.MetaHeadersFrame:
				status = f.PseudoValue("status")
			case *http2.DataFrame:
				data += string(f.Data())
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				t.Fatalf("%s: %v", authority, f)
			}
		}
		if !offered || status != "200" {
			t.Errorf("%s: extended CONNECT offered: %t; status %s", authority, offered, status)
		}
	}
}

// testStreamALPN: where TLS ends in front of a TCP backend, a client is told that its protocol is spoken if that has a name of its
// own, and nothing if it has versions that only the backend knows.
func testStreamALPN(t *testing.T, w *tlsWorld) {
	for _, c := range []struct {
		offers []string
		want   string
	}{{[]string{"postgresql"}, "postgresql"}, {[]string{"h2", "mqtt"}, "mqtt"}, {[]string{"h2", "http/1.1"}, ""}, {nil, ""}} {
		conn, err := w.dialTLS("443", &tls.Config{ServerName: "end.test", InsecureSkipVerify: true, NextProtos: c.offers})
		if err != nil {
			t.Errorf("%v: %v", c.offers, err)
			continue
		}
		name, err := line(conn)
		if got := conn.ConnectionState().NegotiatedProtocol; err != nil || name != "tcp-a" || got != c.want {
			t.Errorf("%v: %q selected, want %q; %s (%v)", c.offers, got, c.want, name, err)
		}
		_ = conn.Close()
	}
}

// testPassthrough: the backend ends TLS, or the proxy does, by the server name.
func testPassthrough(t *testing.T, w *tlsWorld) {
	for _, c := range []struct{ port, sni, signer, want string }{
		{"443", "pass.test", "pass", "pass"},
		{"443", "a.pass.test", "pass-wild", "pass-wild"},
		{"443", "a.b.pass.test", "pass-wild", "pass-wild"},
		{"443", "Pass.TEST", "pass", "pass"},
		{"443", "end.test", "end", "tcp-a"},
		{"446", "whatever.test", "pass", "pass"},
		{"446", "", "pass", "pass"},
	} {
		conn, err := w.dialTLS(c.port, &tls.Config{ServerName: c.sni, InsecureSkipVerify: true})
		if err != nil {
			t.Errorf("%s %q: %v", c.port, c.sni, err)
			continue
		}
		name, err := line(conn)
		if signer := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; err != nil || name != c.want || signer != c.signer {
			t.Errorf("%s %q: %s with the certificate of %s (%v), want %s, %s", c.port, c.sni, name, signer, err, c.want, c.signer)
		}
		_ = conn.Close()
	}
	good := 0
	for range 100 {
		if conn, err := w.dialTLS("443", &tls.Config{ServerName: "half.test", InsecureSkipVerify: true}); err == nil {
			good++
			_ = conn.Close()
		}
	}
	if good < 25 || good > 75 {
		t.Errorf("1:1 between a backend and none: %d of 100 connections", good)
	}
}

// testClientCertificates: required, and asked for but not required.
func testClientCertificates(t *testing.T, w *tlsWorld) {
	stranger := newCA(t, "clients") // by the same name as the one that is trusted
	certificates := map[string]*tls.Certificate{"none": nil}
	for name, p := range map[string]pair{
		"good": w.clients.issue(t, "client"), "foreign": stranger.issue(t, "client"), "server's": w.ca.issue(t, "client"),
		"expired":      w.clients.issueUntil(t, time.Now().Add(-time.Minute), "client"),
		"good Ed25519": w.clients.issueTo(t, ed25519Key(t), "client"), "good P-521": w.clients.issueTo(t, ecdsaKey(t, elliptic.P521()), "client"),
		"good RSA": w.clients.issueTo(t, rsaKey(t), "client"), "foreign Ed25519": stranger.issueTo(t, ed25519Key(t), "client"),
	} {
		c := p.tls()
		certificates[name] = &c
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, certificate := range certificates {
			config := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
			if certificate != nil { // whatever the server says it trusts
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
			}
			for _, host := range []string{"x.test", "X.TEST:443"} {
				for _, h2 := range []bool{false, true} {
					a := w.over(t, tlsClient{port: "444", sni: "x.test", config: config, h2: h2})(host, "/")
					if served := a.seen.Service == "any"; served != strings.HasPrefix(name, "good") {
						t.Errorf("required, %s, version %x: served %t: %s", name, version, served, a.service()+a.body)
					}
					if a := w.over(t, tlsClient{port: "445", sni: "x.test", config: config, h2: h2})(host, "/"); a.seen.Service != "any" {
						t.Errorf("not required, %s, version %x: %s", name, version, a.service()+a.body)
					}
				}
			}
			config.ServerName = "end.test"
			conn, err := w.dialTLS("444", config)
			if err == nil {
				_, err = line(conn)
				_ = conn.Close()
			}
			if (err == nil) != strings.HasPrefix(name, "good") {
				t.Errorf("required, terminated TCP, %s, version %x: %v", name, version, err)
			}
		}
	}
}

// oneSession offers the last session of any server to every server.
type oneSession struct {
	mu      sync.Mutex
	session *tls.ClientSessionState
}

func (s *oneSession) Get(string) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session, s.session != nil
}

func (s *oneSession) Put(_ string, session *tls.ClientSessionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session != nil {
		s.session = session
	}
}

// testForeignSession: a session of a listener that asks for no certificate is none where one is required.
func testForeignSession(t *testing.T, w *tlsWorld) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, port := range []string{"443", "445"} {
			sessions := &oneSession{}
			config := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ClientSessionCache: sessions}
			if a := w.over(t, tlsClient{port: port, sni: "x.test", config: config})("x.test", "/"); a.seen.Service != "any" || sessions.session == nil {
				t.Fatalf("port %s, version %x: %s, session %v", port, version, a.service()+a.body, sessions.session)
			}
			if a := w.over(t, tlsClient{port: "444", sni: "x.test", config: config})("x.test", "/"); a.status != 0 {
				t.Errorf("a session of port %s opens 444, version %x: %s", port, version, a.service())
			}
		}
	}
}

// testRotation changes a certificate under new connections and running requests.
func testRotation(t *testing.T, w *tlsWorld) {
	const id = model.SecretID("certificate/infra/shop")
	config := &tls.Config{ServerName: "shop.test", RootCAs: w.ca.pool(), NextProtos: []string{"http/1.1"}}
	stop, done := make(chan struct{}), make(chan string, 1)
	kept := w.over(t, tlsClient{port: "443", sni: "shop.test"})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				done <- ""
				return
			default:
			}
			conn, err := w.dialTLS("443", config)
			if err != nil {
				done <- fmt.Sprintf("connection %d: %v", n, err)
				return
			}
			_ = conn.Close()
			if a := kept("shop.test", "/"); a.seen.Service != "shop" {
				done <- fmt.Sprintf("request %d: %d %s", n, a.status, a.body)
				return
			}
		}
	}()
	for range 20 {
		next := w.ca.issue(t, "shop", "shop.test")
		before := w.server.Counts()
		w.publish(t, []envoyResource{next.secret(t, id)})
		if sent := w.server.Counts().Resources - before.Resources; sent != 1 {
			t.Errorf("a rotation took %d resources", sent)
		}
		eventually(t, "the new certificate", func() bool {
			conn, err := w.dialTLS("443", config)
			if err != nil {
				return false
			}
			defer conn.Close()
			return conn.ConnectionState().PeerCertificates[0].Equal(next.cert)
		})
	}
	close(stop)
	if wrong := <-done; wrong != "" {
		t.Error(wrong)
	}
	// The certificates of clients that are trusted change the same way.
	successor := newCA(t, "successor")
	client := successor.issue(t, "client").tls()
	ask := func() bool {
		config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{client}}
		return w.over(t, tlsClient{port: "444", sni: "x.test", config: config})("x.test", "/").seen.Service == "any"
	}
	if ask() {
		t.Error("a client is served whom nobody trusts yet")
	}
	w.publish(t, successor.secrets(t, []model.SecretID{"ca/ConfigMap/infra/clients"}))
	eventually(t, "the new CA", ask)
}

// testNewChain: what is published together with its secret is served at once.
func testNewChain(t *testing.T, w *tlsWorld) {
	name := model.Name{Namespace: "infra", Name: "public"}
	began := time.Now()
	l := &model.Listener{Gateway: name, Port: 448, Protocol: model.TLS}
	var secrets []model.SecretID
	for i := range 10 {
		id := model.SecretID(fmt.Sprintf("certificate/infra/n%d", i))
		secrets = append(secrets, id)
		l.Chains = append(l.Chains, model.Chain{ServerName: fmt.Sprintf("n%d.test", i), Terminate: &model.Termination{Certificates: []model.SecretID{id}},
			Forward: &model.L4Forward{Shares: []model.Share{{Cluster: model.ClusterID{Service: model.Name{Namespace: "t", Name: "tcp-a"}, Port: 5432, Protocol: model.TCP}, Weight: 1}}}})
		w.publish(t, append(w.ca.secrets(t, secrets[i:]), mustListener(t, l)))
		if i == 0 {
			w.findPorts(t)
		}
		eventually(t, "the new chain", func() bool {
			conn, err := w.dialTLS("448", &tls.Config{ServerName: fmt.Sprintf("n%d.test", i), RootCAs: w.ca.pool()})
			if err != nil {
				return false
			}
			defer conn.Close()
			got, err := line(conn)
			return err == nil && got == "tcp-a"
		})
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("ten new chains took %s", took)
	}
}
