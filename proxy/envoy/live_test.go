package envoy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/process"
	"headgate.dev/proxy/xds"
)

// binary finds the Envoy that tests run.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("HEADGATE_ENVOY")
	if path == "" {
		path = filepath.Join("..", "..", ".cache", "envoy-1.40.0", "envoy")
	}
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("no Envoy to test with, run make envoy: %v", err)
	}
	return path
}

// proxy is a running Envoy with a configuration.
type proxy struct {
	admin  *http.Client
	socket string // of admin
	server *xds.Server
	epoch  uint64
	ports  map[string]string // name of a listener → its address
}

// lines collects the log of a process for when the test fails.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// start runs Envoy with resources until the test ends.
func start(t *testing.T, resources []envoy.Resource) *proxy {
	t.Helper()
	return startIn(t, "", resources)
}

// startIn does the same in a zone.
func startIn(t *testing.T, zone string, resources []envoy.Resource) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "hg") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: xds.New(xds.Options{Authenticate: func(context.Context, xds.Peer) (xds.Identity, error) {
		return xds.Identity{Fleet: "test", Proxy: "one"}, nil
	}})}
	socket := filepath.Join(dir, "xds")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	admin := filepath.Join(dir, "admin")
	p.socket = admin
	p.admin = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", admin)
	}}}
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{NodeID: "test", Zone: zone, XDS: socket, Admin: admin})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := &lines{}
	var running sync.WaitGroup
	running.Go(func() { _ = p.server.Serve(listener) })
	running.Go(func() {
		err := process.Run(ctx, process.Options{
			Path: binary(t), Bootstrap: bootstrap, Concurrency: 1, Log: log, StopTimeout: time.Second,
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(log, err)
		}
	})
	t.Cleanup(func() {
		cancel()
		stopped, stop := context.WithCancel(context.Background())
		stop()
		p.server.Stop(stopped)
		running.Wait()
		_ = os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("Envoy's log:\n%s", log.text.String())
		}
	})
	p.publish(t, resources)
	p.findPorts(t)
	return p
}

// publish makes a change and waits until Envoy has it.
func (p *proxy) publish(t *testing.T, resources []envoy.Resource) {
	t.Helper()
	p.epoch++
	p.server.Publish("test", p.epoch, resources)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	status, err := p.server.Wait(ctx, "test", p.epoch)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range status.Refused {
		t.Errorf("refused: %+v", r)
	}
}

func (p *proxy) findPorts(t *testing.T) {
	t.Helper()
	resp, err := p.admin.Get("http://admin/listeners?format=json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Statuses []struct {
			Name    string
			Address struct {
				Socket struct {
					Address string
					Port    int `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	p.ports = map[string]string{}
	for _, s := range answer.Statuses {
		p.ports[s.Name] = net.JoinHostPort(s.Address.Socket.Address, fmt.Sprint(s.Address.Socket.Port))
	}
}

// loopback binds every listener to a port that Envoy chooses.
func loopback(model.ListenerID) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
}

// seen is a request as a backend received it.
type seen struct {
	Service, Method, Host, Path string
	Header                      http.Header
}

// backends are one HTTP server per service. A service answers with what it saw, after what its own handler does.
type backends struct {
	addresses map[string]netip.AddrPort
	handlers  map[string]func(http.ResponseWriter, *http.Request) (done bool)
	mu        sync.Mutex
	log       map[string][]seen
}

func (b *backends) serve(t *testing.T, service string) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := seen{Service: service, Method: r.Method, Host: r.Host, Path: r.RequestURI, Header: r.Header}
		b.mu.Lock()
		b.log[service] = append(b.log[service], s)
		b.mu.Unlock()
		if h := b.handlers[service]; h != nil && h(w, r) {
			return
		}
		w.Header().Set("server", "backend")
		w.Header().Set("x-edit", "backend")
		_ = json.NewEncoder(w).Encode(s)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	b.addresses[service] = netip.MustParseAddrPort(server.Listener.Addr().String())
}

func (b *backends) count(service string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.log[service])
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	seen   seen // by the backend, when one answered
	body   string
}

// get sends a request to the plain listener. Headers are name, value, name, value ...
func (p *proxy) get(t *testing.T, method, host, path string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+p.ports["infra/public/80"]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return p.do(t, req, http.DefaultTransport)
}

func (p *proxy) do(t *testing.T, req *http.Request, via http.RoundTripper) answer {
	t.Helper()
	resp, err := via.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return read(t, resp)
}

func read(t *testing.T, resp *http.Response) answer {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if strings.HasPrefix(a.body, "{") {
		if err := json.Unmarshal(body, &a.seen); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// raw sends bytes and gives the status and body of the answer.
func (p *proxy) raw(t *testing.T, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", p.ports["infra/public/80"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status + "\n" + string(body)
}
