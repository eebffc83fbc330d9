package xds_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/xds"
)

var update = flag.Bool("update", false, "rewrite the expected output of scripts")

// TestScripts plays the scripts under testdata between a Server and fake proxies over gRPC, in fake time. A line
// "> COMMAND" is followed by what comes of it: what the proxies receive until everybody waits, and what the observer
// hears. Other lines that begin with # are prose. Commands:
//
//	publish EPOCH KEY=VERSION... KEY=-      change the fleet; KEY is TYPE/NAME; "SRDS/a=1>r" is a scope that names r,
//	                                        "LDS/l=1<s,t" a listener (or cluster) that needs the secrets s and t
//	connect PROXY | disconnect | use PROXY  a stream for a fake proxy, which later commands speak for
//	request TYPE [+NAME] [-NAME] [NAME=VERSION]   subscribe, unsubscribe, initial versions
//	ack [NONCE...] | nack NONCE MESSAGE     answer all or some of what was received
//	status EPOCH | sleep DURATION | restart
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts under testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, string(want)) })
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s: got\n%s\nrun the test with -update to accept it", file, got)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	w := &world{t: t, proxies: map[string]*fakeProxy{}}
	w.serve()
	defer w.close()
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		command, ok := strings.CutPrefix(line, "> ")
		switch {
		case ok:
			out.WriteString(line + "\n")
			if err := w.do(strings.Fields(command)); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			synctest.Wait()
			out.WriteString(w.heard())
		case strings.HasPrefix(line, "#") || line == "":
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// world is a server and its proxies.
type world struct {
	t        *testing.T
	server   *xds.Server
	listener *bufconn.Listener
	conns    []*grpc.ClientConn
	proxies  map[string]*fakeProxy
	cur      *fakeProxy

	mu  sync.Mutex
	log []string
}

func (w *world) serve() {
	w.listener = bufconn.Listen(1 << 20)
	w.server = xds.New(xds.Options{
		Authenticate: func(ctx context.Context, _ xds.Peer) (xds.Identity, error) { return identityOf(ctx) },
		Observer:     w,
	})
	go func(s *xds.Server, l net.Listener) {
		if err := s.Serve(l); err != nil {
			w.t.Error(err)
		}
	}(w.server, w.listener)
}

func (w *world) close() {
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
	synctest.Wait() // so that the streams end for one reason: their proxies left
	w.server.Stop(context.Background())
	synctest.Wait()
}

func (w *world) note(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf(format, a...))
}

// heard is what was noted since the last call. The observer, the streams and the proxies speak at the same time: their
// lines are grouped by proxy, then by speaker.
func (w *world) heard() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(w.log, func(a, b string) int {
		proxyA, textA, _ := strings.Cut(a, ": ")
		proxyB, textB, _ := strings.Cut(b, ": ")
		return cmp.Or(strings.Compare(proxyA, proxyB), cmp.Compare(speaker(textA), speaker(textB)))
	})
	var b strings.Builder
	for _, l := range w.log {
		b.WriteString(l + "\n")
	}
	w.log = nil
	return b.String()
}

func speaker(text string) int {
	first, _, _ := strings.Cut(text, " ")
	return slices.Index([]string{"disconnected:", "connected", "received", "refuses", "ready"}, first)
}

func (w *world) Connected(id xds.Identity) { w.note("%s: connected", id.Proxy) }
func (w *world) Ready(id xds.Identity)     { w.note("%s: ready", id.Proxy) }
func (w *world) Nacked(id xds.Identity, k envoy.Key, m string) {
	w.note("%s: refuses %s/%s: %s", id.Proxy, k.Type, k.Name, m)
}
func (w *world) Disconnected(id xds.Identity, err error) {
	// Whether the stream's context or its next read tells first that the proxy left is a matter of chance.
	if errors.Is(err, context.Canceled) || grpcstatus.Code(err) == codes.Canceled {
		err = context.Canceled
	}
	w.note("%s: disconnected: %v", id.Proxy, err)
}

func (w *world) do(f []string) error {
	switch f[0] {
	case "publish":
		epoch, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			return err
		}
		var changes []xds.Change
		for _, c := range f[2:] {
			changes = append(changes, parseChange(c))
		}
		w.server.Publish("f", epoch, changes)
	case "connect":
		return w.connect(f[1])
	case "use":
		w.cur = w.proxies[f[1]]
	case "disconnect":
		w.cur.cancel()
	case "request":
		return w.cur.request(f[1], f[2:])
	case "ack":
		return w.cur.ack(f[1:])
	case "nack":
		return w.cur.answer(f[1], strings.Join(f[2:], " "))
	case "status":
		epoch, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			return err
		}
		st := w.server.Status("f", epoch)
		w.note("acked %d, pending %d, total %d, connected %d", st.Acked, st.Pending, st.Total, st.Connected)
		for _, r := range st.Refused {
			w.note("refused: %s/%s by %s at epoch %d: %s", r.Key.Type, r.Key.Name, r.Proxy, r.Epoch, r.Message)
		}
	case "sleep":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err
		}
		<-time.After(d)
	case "restart":
		w.close()
		w.proxies = map[string]*fakeProxy{}
		w.serve()
	default:
		return fmt.Errorf("no such command")
	}
	return nil
}

// parseChange reads TYPE/NAME=VERSION, with VERSION - for a removal, >ROUTES after the version of a scope, and <SECRETS
// after that of a cluster or listener.
func parseChange(s string) xds.Change {
	name, version, _ := strings.Cut(s, "=")
	typ, name, _ := strings.Cut(name, "/")
	c := xds.Change{Key: envoy.Key{Type: typeNamed(typ), Name: name}}
	if version == "-" {
		return c
	}
	if parent, secrets, ok := strings.Cut(version, "<"); ok {
		version, c.Secrets = parent, strings.Split(secrets, ",")
	}
	var m proto.Message = &core.Address{}
	if scope, routes, ok := strings.Cut(version, ">"); ok {
		version, m = scope, &route.ScopedRouteConfiguration{Name: name, RouteConfigurationName: routes}
	}
	body, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	c.Version, c.Body = version, append([]byte{}, body...)
	return c
}

func typeNamed(s string) envoy.Type {
	for t := range envoy.NumTypes {
		if t.String() == s {
			return t
		}
	}
	panic("no type " + s)
}

// fakeProxy is the client's side of a stream.
type fakeProxy struct {
	name   string
	w      *world
	wire   discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	cancel func()

	reading  chan struct{} // full: the proxy reads nothing
	mu       sync.Mutex
	received []*discovery.DeltaDiscoveryResponse // without an answer yet
}

func (w *world) connect(name string) error {
	conn, err := grpc.NewClient("passthrough:///"+name, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return w.listener.DialContext(ctx) }))
	if err != nil {
		return err
	}
	w.conns = append(w.conns, conn)
	ctx, cancel := context.WithCancel(withIdentity(context.Background(), xds.Identity{Fleet: "f", Proxy: name}))
	wire, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		cancel()
		return err
	}
	p := &fakeProxy{name: name, w: w, wire: wire, cancel: cancel, reading: make(chan struct{}, 1)}
	w.proxies[name], w.cur = p, p
	go p.receive()
	return nil
}

// hold makes the proxy read nothing until release.
func (p *fakeProxy) hold()    { p.reading <- struct{}{} }
func (p *fakeProxy) release() { <-p.reading }

func (p *fakeProxy) receive() {
	for {
		p.hold()
		p.release()
		m, err := p.wire.Recv()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.received = append(p.received, m)
		p.mu.Unlock()
		t, _ := envoy.TypeOf(m.TypeUrl)
		var what []string
		for _, r := range m.Resources {
			what = append(what, r.Name+"="+r.Version)
		}
		for _, n := range m.RemovedResources {
			what = append(what, n+"=-")
		}
		p.w.note("%s: received %s %s #%s", p.name, t, cmp.Or(strings.Join(what, " "), "nothing"), m.Nonce)
	}
}

func (p *fakeProxy) request(typ string, args []string) error {
	req := &discovery.DeltaDiscoveryRequest{TypeUrl: typeNamed(typ).URL()}
	for _, a := range args {
		if name, version, ok := strings.Cut(a, "="); ok {
			if req.InitialResourceVersions == nil {
				req.InitialResourceVersions = map[string]string{}
			}
			req.InitialResourceVersions[name] = version
			continue
		}
		if name, ok := strings.CutPrefix(a, "+"); ok {
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, name)
			continue
		}
		req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, strings.TrimPrefix(a, "-"))
	}
	return p.wire.Send(req)
}

// ack answers the named responses, or all received so far.
func (p *fakeProxy) ack(nonces []string) error {
	if len(nonces) == 0 {
		p.mu.Lock()
		for _, m := range p.received {
			nonces = append(nonces, m.Nonce)
		}
		p.mu.Unlock()
	}
	for _, n := range nonces {
		if err := p.answer(n, ""); err != nil {
			return err
		}
	}
	return nil
}

// answer sends an ACK, or with a message a NACK.
func (p *fakeProxy) answer(nonce, message string) error {
	p.mu.Lock()
	i := slices.IndexFunc(p.received, func(m *discovery.DeltaDiscoveryResponse) bool { return m.Nonce == nonce })
	if i < 0 {
		p.mu.Unlock()
		return fmt.Errorf("nothing to answer with nonce %s", nonce)
	}
	req := &discovery.DeltaDiscoveryRequest{TypeUrl: p.received[i].TypeUrl, ResponseNonce: nonce}
	p.received = slices.Delete(p.received, i, i+1)
	p.mu.Unlock()
	if message != "" {
		req.ErrorDetail = &status.Status{Code: 13, Message: message}
	}
	return p.wire.Send(req)
}
