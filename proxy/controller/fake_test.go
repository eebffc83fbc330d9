package controller

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/controller/inbox"
	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/pki"
	"headgate.dev/proxy/track"
	"headgate.dev/proxy/xds"
)

// fakeReplica is a replica but for the API server: its inbox is filled by the test.
type fakeReplica struct {
	t       *testing.T
	name    string
	loop    *loop
	tracker *tracker
	door    *pki.Door
	address string

	mu      sync.Mutex
	changed map[kube.Ref]int // how often the status of what was looked at
}

func newAuthority(t *testing.T) *pki.Authority {
	a, err := pki.NewAuthority(pki.Policy{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newFakeReplica(t *testing.T, name string, authority *pki.Authority) *fakeReplica {
	door, err := pki.NewDoor(authority, pki.Controller{Namespace: "headgate-system", Pod: name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &fakeReplica{t: t, name: name, door: door, changed: map[kube.Ref]int{}}
	r.loop = newLoop(inbox.New(), slog.New(slog.DiscardHandler), Name)
	r.loop.effects = func(uint64, *engine.Effects) {}
	r.tracker = newTracker(name, func(refs ...kube.Ref) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, ref := range refs {
			r.changed[ref]++
		}
	})
	r.loop.xds = xds.New(xds.Options{
		Authenticate: authenticate(door), TLS: door.Mutual(), Changed: r.tracker.touch, Followers: followers(door, r.tracker),
		Observer:    &observer{log: slog.New(slog.DiscardHandler), behind: r.loop.behind, refused: r.loop.refuse},
		ForgetAfter: time.Hour,
	})
	r.loop.taken = r.tracker.taken
	r.tracker.xds, r.tracker.behind, r.tracker.pinned, r.tracker.settle = r.loop.xds, r.loop.behind, r.loop.pinned, r.loop.settle
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	r.loop.next()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { r.loop.run(ctx) })
	all.Go(func() { r.tracker.run(ctx) })
	all.Go(func() {
		if err := r.loop.xds.Serve(l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); r.loop.xds.Stop(ctx); all.Wait() })
	return r
}

// sees tells the replica of objects as they are now.
func (r *fakeReplica) sees(objects ...kube.Object) {
	for _, o := range objects {
		k := kindOf(o)
		r.loop.inbox.PutUpTo(live.Point(nil).With(int(k), track.Version(o.GetResourceVersion())), kube.ChangeOf(k, o))
	}
}

// loses tells it that an object is gone, as of a version.
func (r *fakeReplica) loses(k kube.Kind, name types.NamespacedName, version uint64) {
	r.loop.inbox.PutUpTo(live.Point(nil).With(int(k), version), kube.Change{Kind: k, Name: name})
}

// follow has the replica follow another one until the test or the call of what is returned ends that.
func (r *fakeReplica) follow(of *fakeReplica) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &peers{door: r.door, tracker: r.tracker, log: slog.New(slog.DiscardHandler)}
	done := make(chan struct{})
	go func() { defer close(done); p.follow(ctx, of.address) }()
	stop = func() { cancel(); <-done }
	r.t.Cleanup(stop)
	return stop
}

// wait waits for what is wanted, for so long.
func (r *fakeReplica) wait(limit time.Duration, wants ...Want) (Live, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	defer cancel()
	return (&Liveness{r.tracker}).Wait(ctx, wants)
}

// fakeProxy asks for everything and acknowledges it, but for what it refuses.
type fakeProxy struct {
	t      *testing.T
	stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	refuse string // what must not be in a resource

	mu     sync.Mutex // guards what follows
	paused bool
	held   []*discovery.DeltaDiscoveryRequest
	opened [envoy.NumTypes]bool
	has    map[envoy.Key][]byte
}

// proxyTLS is what a proxy shows.
func proxyTLS(t *testing.T, authority *pki.Authority, p pki.Proxy) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.IssueProxy(p, &key.PublicKey, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, InsecureSkipVerify: true, //nolint:gosec // that is another test's matter
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
	}
}

// connect has a proxy of Gateway a/g call a replica until the test or the call of what is returned ends that.
func (r *fakeReplica) connect(authority *pki.Authority, name, refuse string) (p *fakeProxy, stop func()) {
	config := proxyTLS(r.t, authority, pki.Proxy{Namespace: "a", Gateway: "g", Pod: name})
	conn, err := grpc.NewClient("passthrough:///"+r.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	p = &fakeProxy{t: r.t, stream: stream, refuse: refuse, has: map[envoy.Key][]byte{}}
	for _, t := range []envoy.Type{envoy.ClusterType, envoy.ListenerType, envoy.ScopeType} {
		p.open(t)
	}
	done := make(chan struct{})
	go func() { defer close(done); p.run() }()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done; conn.Close() }) }
	r.t.Cleanup(stop)
	return p, stop
}

func (p *fakeProxy) open(t envoy.Type, names ...string) {
	p.opened[t] = true
	p.send(&discovery.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesSubscribe: names})
}

func (p *fakeProxy) send(r *discovery.DeltaDiscoveryRequest) {
	if p.paused {
		p.held = append(p.held, r)
		return
	}
	if err := p.stream.Send(r); err != nil && p.stream.Context().Err() == nil {
		p.t.Logf("a proxy sends: %v", err)
	}
}

// pause has a proxy keep its answers to itself, and resume gives them.
func (p *fakeProxy) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = true
}

func (p *fakeProxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = false
	for _, r := range p.held {
		p.send(r)
	}
	p.held = nil
}

func (p *fakeProxy) run() {
	for {
		m, err := p.stream.Recv()
		if err != nil {
			return
		}
		p.answer(m)
	}
}

func (p *fakeProxy) answer(m *discovery.DeltaDiscoveryResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, _ := envoy.TypeOf(m.GetTypeUrl())
	answer := &discovery.DeltaDiscoveryRequest{TypeUrl: m.GetTypeUrl(), ResponseNonce: m.GetNonce()}
	for _, r := range m.GetResources() {
		if p.refuse != "" && bytes.Contains(r.GetResource().GetValue(), []byte(p.refuse)) {
			answer.ErrorDetail = &status.Status{Message: "not " + p.refuse}
		}
	}
	if answer.GetErrorDetail() == nil {
		for _, r := range m.GetResources() {
			p.has[envoy.Key{Type: t, Name: r.GetName()}] = r.GetResource().GetValue()
			// The names of scopes and their routes, and of clusters and their endpoints, are the same.
			switch t {
			case envoy.ScopeType:
				p.open(envoy.RouteType, r.GetName())
			case envoy.ClusterType:
				p.open(envoy.EndpointType, r.GetName())
			default:
			}
		}
		for _, name := range m.GetRemovedResources() {
			delete(p.has, envoy.Key{Type: t, Name: name})
		}
	}
	p.send(answer)
}

// serves tells whether some route that the proxy has contains a text.
func (p *fakeProxy) serves(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, body := range p.has {
		if k.Type == envoy.RouteType && bytes.Contains(body, []byte(text)) {
			return true
		}
	}
	return false
}
