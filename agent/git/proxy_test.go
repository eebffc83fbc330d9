package git

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// proxied counts what goes through a proxy that wants ada's password.
type proxied struct {
	Proxy
	passes atomic.Int64
}

// httpProxy forwards requests for http, and connections for https.
func httpProxy(t *testing.T) *proxied {
	t.Helper()
	p := &proxied{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Proxy-Authorization") != "Basic YWRhOmNhbmFyeS1wcm94eQ==" {
			w.Header().Set("Proxy-Authenticate", "Basic")
			http.Error(w, "who?", http.StatusProxyAuthRequired)
			return
		}
		p.passes.Add(1)
		if q.Method == http.MethodConnect {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			splice(conn, q.Host)
			return
		}
		q.Header.Del("Proxy-Authorization")
		res, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = res.Body.Close() }()
		w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	t.Cleanup(s.Close)
	p.Proxy = Proxy{s.URL, "ada", "canary-proxy"}
	return p
}

// splice connects a connection with an address until both are at their end.
func splice(client net.Conn, addr string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	_, _ = io.Copy(client, server)
}

// socksProxy speaks SOCKS5 with a user's name and password (RFC 1928, RFC 1929).
func socksProxy(t *testing.T) *proxied {
	t.Helper()
	p := &proxied{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.socks(c)
		}
	}()
	p.Proxy = Proxy{"socks5://" + l.Addr().String(), "ada", "canary-proxy"}
	return p
}

func (p *proxied) socks(c net.Conn) {
	r := bufio.NewReader(c)
	next := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(r, b)
		return b
	}
	text := func() string { return string(next(int(next(1)[0]))) }
	next(1)
	if methods := text(); !strings.Contains(methods, "\x02") {
		_, _ = c.Write([]byte{5, 0xff})
		_ = c.Close()
		return
	}
	_, _ = c.Write([]byte{5, 2})
	next(1)
	if user, password := text(), text(); user != "ada" || password != "canary-proxy" {
		_, _ = c.Write([]byte{1, 1})
		_ = c.Close()
		return
	}
	_, _ = c.Write([]byte{1, 0})
	var host string
	switch next(4)[3] {
	case 1:
		host = net.IP(next(4)).String()
	case 3:
		host = text()
	default:
		_ = c.Close()
		return
	}
	port := next(2)
	p.passes.Add(1)
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	splice(c, fmt.Sprintf("%s:%d", host, int(port[0])<<8|int(port[1])))
}

// TestProxy reads a repository over http, https and ssh, through each kind of proxy that can carry it.
func TestProxy(t *testing.T) {
	dir, plain, s := published(t)
	secure := httptest.NewTLSServer(s.Config.Handler)
	defer secure.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	shell := serveSSH(t)
	sources := map[string]Source{
		"http": {URL: plain}, "https": {URL: secure.URL + "/repo.git", Auth: Auth{CA: ca}},
		"ssh": {URL: "ssh://git@" + shell.addr + dir, Auth: Auth{SSHKey: shell.clientKey, KnownHosts: shell.knownHosts}},
	}
	for name, through := range map[string]func(*testing.T) *proxied{"http": httpProxy, "socks5": socksProxy} {
		for kind, src := range sources {
			p := through(t)
			src.Proxy = p.Proxy
			r, err := Open(src, Options{Cache: t.TempDir()})
			if name == "http" && kind == "ssh" {
				var us *UnsupportedError
				if !errors.As(err, &us) || !strings.Contains(err.Error(), "socks5://") {
					t.Errorf("ssh through http: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if c := resolve(t, r); text(t, c, "a.yaml") != "a: 1\n" || p.passes.Load() == 0 {
				t.Errorf("%s through %s: %d times", kind, name, p.passes.Load())
			}
			_ = r.Close()
			p.passes.Store(0)
			src.Proxy.Password = "canary-wrong"
			_, err = open(t, src).Resolve(context.Background())
			if err == nil || strings.Contains(err.Error(), "canary") || p.passes.Load() != 0 {
				t.Errorf("%s through %s without its password: %v", kind, name, err)
			}
			if name == "http" && !strings.Contains(err.Error(), "the proxy wants other credentials (407)") {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
	for _, wrong := range []string{"ftp://example.com", "http://", "socks4://example.com"} {
		if _, err := Open(Source{URL: plain, Proxy: Proxy{URL: wrong}}, Options{Cache: t.TempDir()}); err == nil {
			t.Errorf("%s: taken", wrong)
		}
	}
}

// openWith opens a source whose App, if it has one, has these tokens.
func openWith(t *testing.T, src Source, token func(context.Context, string) (string, error)) *Repository {
	t.Helper()
	r, err := Open(src, Options{Cache: t.TempDir(), App: func(Source) (func(context.Context, string) (string, error), error) { return token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// TestAppToken takes tokens that expire: each is asked for, and asked for again once when the server refuses it.
func TestAppToken(t *testing.T) {
	dir, url, s := published(t)
	good, minted := "canary-1", 0
	backend := s.Config.Handler
	var guard http.HandlerFunc
	guard = func(w http.ResponseWriter, q *http.Request) {
		if user, password, _ := q.BasicAuth(); user != "x-access-token" || password != good {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		s.handle(nil)
		backend.ServeHTTP(w, q)
		s.handle(guard)
	}
	s.handle(guard)
	kept := "canary-1"
	r := openWith(t, Source{URL: url, Auth: Auth{App: &AppKey{}}}, func(_ context.Context, refused string) (string, error) {
		if refused == kept && good != "" {
			kept = good
			minted++
		}
		return kept, nil
	})
	resolve(t, r)
	good = "canary-2"
	commit(t, dir, "a.yaml", "a: 2\n")
	push(t, dir)
	if c := resolve(t, r); text(t, c, "a.yaml") != "a: 2\n" || minted != 1 {
		t.Errorf("minted %d", minted)
	}
	good = ""
	asked := s.requests.Load()
	_, err := r.Resolve(context.Background())
	var au *AuthError
	if !errors.As(err, &au) || strings.Contains(err.Error(), "canary") || s.requests.Load() != asked+1 {
		t.Errorf("after %d requests: %v", s.requests.Load()-asked, err)
	}
	r = openWith(t, Source{URL: url, Auth: Auth{App: &AppKey{}}}, func(context.Context, string) (string, error) { return "", errors.New("the App is suspended") })
	if _, err := r.Resolve(context.Background()); !errors.As(err, &au) || !strings.Contains(err.Error(), "the App is suspended") {
		t.Errorf("got %v", err)
	}
}

// TestRedirectsKeepCredentials counts what another host gets to see of credentials when a server sends us there: nothing.
func TestRedirectsKeepCredentials(t *testing.T) {
	var connections, requests atomic.Int64
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	other.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	other.Start()
	defer other.Close()
	_, _, s := published(t)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	to := ""
	s.handle(func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, to, http.StatusTemporaryRedirect) })
	for name, a := range map[string]Auth{
		"password": {Username: "ada", Password: "canary"}, "bearer": {BearerToken: "canary"}, "app": {App: &AppKey{}},
	} {
		for _, target := range []string{other.URL, "http://localhost:" + port, "https://127.0.0.1:" + port, "http://user:x@" + other.Listener.Addr().String(), "file:///etc", "ssh://git@" + other.Listener.Addr().String()} {
			to = target + "/repo.git/info/refs?service=git-upload-pack"
			asked := s.requests.Load()
			r := openWith(t, Source{URL: s.URL + "/repo.git", Auth: a}, func(context.Context, string) (string, error) { return "canary", nil })
			_, err := r.Resolve(context.Background())
			if err == nil || strings.Contains(err.Error(), "canary") || s.requests.Load() != asked+1 {
				t.Errorf("%s to %s: %v", name, target, err)
			}
		}
	}
	if connections.Load()+requests.Load() != 0 {
		t.Errorf("another host was reached %d times, asked %d times", connections.Load(), requests.Load())
	}
}

// TestReplacedAuthority: what worked yesterday says what to do today.
func TestReplacedAuthority(t *testing.T) {
	_, _, s := published(t)
	first := httptest.NewTLSServer(s.Config.Handler)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: first.Certificate().Raw})
	resolve(t, open(t, Source{URL: first.URL + "/repo.git", Auth: Auth{CA: ca}}))
	first.Close()
	second := httptest.NewUnstartedServer(s.Config.Handler)
	second.Config.ErrorLog = quietLog
	second.TLS = selfSigned(t)
	second.StartTLS()
	defer second.Close()
	_, err := open(t, Source{URL: second.URL + "/repo.git", Auth: Auth{CA: ca}}).Resolve(context.Background())
	var au *AuthError
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &au) || !errors.As(err, &unknown) || !strings.Contains(err.Error(), "give the authority's certificate (ca.crt)") {
		t.Errorf("got %v", err)
	}
}
