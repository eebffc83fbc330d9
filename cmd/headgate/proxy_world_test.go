package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/pki"
	"headgate.dev/proxy/xds"
)

// controlPlane is for one test, without subtests: it ends the test it was made for. It is what `headgate proxy` meets in a cluster: an exchange and an xDS server with identities by certificate.
type controlPlane struct {
	t        *testing.T
	dir      string
	program  string // to run in pods
	xds      string // addresses, which stay over restarts
	exchange string

	authority *pki.Authority
	door      *pki.Door
	server    *xds.Server
	stops     []func()

	mu      sync.Mutex
	tokens  map[string]pki.Caller
	issuers []string // of the certificates given
	events  []string // of streams
	changed chan struct{}
}

// public1 is the only pod that serves a Gateway.
var public1 = pki.Caller{Audiences: []string{pki.Audience}, Namespace: "infra", ServiceAccount: "public", Pod: "public-1", PodUID: "1"}

func newControlPlane(t *testing.T, policy pki.Policy, born time.Time) *controlPlane {
	t.Helper()
	c := &controlPlane{t: t, dir: t.TempDir(), program: os.Args[0], xds: freeAddress(t), exchange: freeAddress(t), changed: make(chan struct{}),
		tokens: map[string]pki.Caller{"good": public1}}
	var err error
	if c.authority, err = pki.NewAuthority(policy, born); err != nil {
		t.Fatal(err)
	}
	if c.door, err = pki.NewDoor(c.authority, pki.Controller{Namespace: "headgate-system", Pod: "headgate-0"}, nil); err != nil {
		t.Fatal(err)
	}
	c.write("token", "good")
	c.write("anchors", string(c.authority.Anchors()))
	t.Cleanup(c.stop)
	return c
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// write replaces a file as the kubelet does.
func (c *controlPlane) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := errors.Join(os.WriteFile(path+".next", []byte(text), 0o600), os.Rename(path+".next", path)); err != nil {
		c.t.Fatal(err)
	}
}

// serve starts both servers.
func (c *controlPlane) serve() {
	c.t.Helper()
	exchange := pki.NewExchange(c.door, pki.ExchangeOptions{Reviewer: c, Gateways: c, Issued: func(_ pki.Proxy, cert *x509.Certificate) {
		c.note(func() { c.issuers = append(c.issuers, cert.Issuer.CommonName) })
	}})
	c.server = xds.New(xds.Options{TLS: c.door.Mutual(), Observer: c,
		Authenticate: func(_ context.Context, p xds.Peer) (xds.Identity, error) {
			id, err := c.door.Proxy(p.TLS)
			return xds.Identity{Fleet: id.Namespace + "/" + id.Gateway, Proxy: id.Pod}, err
		}})
	server := c.server
	c.start(c.exchange, exchange.Serve, func() error { return exchange.Stop(context.Background()) })
	c.start(c.xds, server.Serve, func() error { server.Stop(context.Background()); return nil })
}

func (c *controlPlane) start(address string, serve func(net.Listener) error, stop func() error) {
	c.t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		c.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	c.stops = append(c.stops, func() {
		if err := errors.Join(stop(), <-done); err != nil {
			c.t.Error(err)
		}
	})
}

func (c *controlPlane) stop() {
	for _, stop := range c.stops {
		stop()
	}
	c.stops = nil
}

// use has everybody follow another authority.
func (c *controlPlane) use(a *pki.Authority) {
	c.t.Helper()
	c.authority = a
	if err := c.door.Use(a); err != nil {
		c.t.Fatal(err)
	}
}

func (c *controlPlane) Review(_ context.Context, token, _ string) (pki.Caller, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	caller, ok := c.tokens[token]
	if !ok {
		return caller, &pki.Refusal{Reason: "the token is not valid"}
	}
	return caller, nil
}

func (c *controlPlane) PlaceOf(_ context.Context, p pki.Caller) (pki.Place, error) {
	if p.Namespace != public1.Namespace || p.Pod != public1.Pod || p.PodUID != public1.PodUID {
		return pki.Place{}, &pki.Refusal{Reason: "the pod serves no Gateway"}
	}
	return pki.Place{Gateway: "public"}, nil
}

// note records something that others wait for.
func (c *controlPlane) note(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// until waits for something that is noted.
func (c *controlPlane) until(what string, ok func() bool) {
	c.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		c.mu.Lock()
		good, changed := ok(), c.changed
		c.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("%s: not within 20 s; streams: %q", what, c.events)
		}
	}
}

func (c *controlPlane) event(text string) { c.note(func() { c.events = append(c.events, text) }) }

func (c *controlPlane) Connected(id xds.Identity) { c.event("connected " + id.Fleet + " " + id.Proxy) }
func (c *controlPlane) Ready(id xds.Identity)     { c.event("ready " + id.Fleet + " " + id.Proxy) }
func (c *controlPlane) Nacked(_ xds.Identity, k envoy.Key, message string) {
	c.t.Errorf("refused: %v: %s", k, message)
}
func (c *controlPlane) Disconnected(id xds.Identity, _ error) { c.event("disconnected " + id.Proxy) }

// seen is count for whoever does not hold the lock.
func (c *controlPlane) seen(event string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count(event)
}

// count counts events by their beginnings. The lock is held.
func (c *controlPlane) count(event string) (n int) {
	for _, e := range c.events {
		if strings.HasPrefix(e, event) {
			n++
		}
	}
	return n
}

// configuration is one listener that sends everything to one backend.
func configuration(t *testing.T, name string, port, backend int) []xds.Change {
	t.Helper()
	resource := func(typ envoy.Type, m proto.Message) xds.Change {
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		return xds.Change{Key: envoy.Key{Type: typ, Name: name}, Version: hex.EncodeToString(sum[:8]), Body: body}
	}
	packed := func(m proto.Message) *anypb.Any {
		a, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	at := func(port int) *core.Address {
		return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)}}}}
	}
	manager := &hcm.HttpConnectionManager{
		StatPrefix:  "g",
		HttpFilters: []*hcm.HttpFilter{{Name: "router", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: packed(&router.Router{})}}},
		RouteSpecifier: &hcm.HttpConnectionManager_RouteConfig{RouteConfig: &route.RouteConfiguration{VirtualHosts: []*route.VirtualHost{{
			Name: "all", Domains: []string{"*"}, Routes: []*route.Route{{
				Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
				Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: name}}},
			}}}}}},
	}
	return []xds.Change{
		resource(envoy.ClusterType, &cluster.Cluster{Name: name, ConnectTimeout: durationpb.New(time.Second),
			LoadAssignment: &endpoint.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpoint.LocalityLbEndpoints{{
				LbEndpoints: []*endpoint.LbEndpoint{{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: at(backend)}}}}}}}}),
		resource(envoy.ListenerType, &listener.Listener{Name: name, Address: at(port),
			FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{{Name: "hcm",
				ConfigType: &listener.Filter_TypedConfig{TypedConfig: packed(manager)}}}}}}),
	}
}

// portOf a server that says who it is.
func portOf(t *testing.T, name string) int {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

// pod is a running `headgate proxy`.
type pod struct {
	t      *testing.T
	cmd    *exec.Cmd
	health string
	dir    string
	done   chan error

	mu      sync.Mutex
	records []map[string]any
	news    chan struct{}
}

// runPod starts the program. name is how its Envoy calls itself.
func (c *controlPlane) runPod(name string, args ...string) *pod {
	c.t.Helper()
	dir, err := os.MkdirTemp("", "hg") // short, for a socket
	if err != nil {
		c.t.Fatal(err)
	}
	p := &pod{t: c.t, health: freeAddress(c.t), dir: dir, done: make(chan error, 1), news: make(chan struct{})}
	p.cmd = exec.Command(c.program, append([]string{"proxy", "--xds", c.xds, "--exchange", c.exchange,
		"--token", filepath.Join(c.dir, "token"), "--anchors", filepath.Join(c.dir, "anchors"), "--dir", dir, "--health", p.health,
		"--envoy", envoyForTests(c.t), "--name", name, "--concurrency", "1", "--poll", "20ms",
		"--drain-delay", "300ms", "--drain-timeout", "10s"}, args...)...)
	p.cmd.Env = append(os.Environ(), "HEADGATE_BE_THE_PROGRAM=1")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		p.read(stderr)
		p.done <- p.cmd.Wait()
	}()
	c.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		err := <-p.done
		if c.t.Failed() {
			c.t.Logf("the program ended: %v", err)
			for _, r := range p.records {
				c.t.Log(r)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			c.t.Error(err)
		}
	})
	return p
}

// read checks that the log is JSON, line by line, and keeps it.
func (p *pod) read(r io.Reader) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var record map[string]any
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			p.t.Errorf("the log has %q: %v", lines.Text(), err)
		}
		if bytes.Contains(lines.Bytes(), []byte("PRIVATE KEY")) {
			p.t.Error("the log has a key")
		}
		p.mu.Lock()
		p.records = append(p.records, record)
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
}

// says waits for the n-th record with this beginning.
func (p *pod) says(message string, n int) map[string]any {
	p.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		seen, news := 0, p.news
		for _, r := range p.records {
			if strings.HasPrefix(r["msg"].(string), message) {
				if seen++; seen == n {
					p.mu.Unlock()
					return r
				}
			}
		}
		p.mu.Unlock()
		select {
		case <-news:
		case <-deadline:
			p.t.Fatalf("%q for the %d. time: not within 20 s", message, n)
		}
	}
}

// ask a probe.
func (p *pod) ask(path string) (int, string) {
	p.t.Helper()
	res, err := http.Get("http://" + p.health + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// term sends SIGTERM and waits for the end.
func (p *pod) term() error {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	return p.wait()
}

func (p *pod) wait() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		p.done <- err
		return err
	case <-time.After(20 * time.Second):
		p.t.Fatal("the program does not end")
		return nil
	}
}
