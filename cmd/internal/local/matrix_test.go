package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/lab"
	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/process"
	"headgate.dev/render"
	"headgate.dev/render/object"
)

// The change matrix: 500 requests a second for as long as it takes to make more than 200 changes of every kind, through a
// real Envoy, and every single answer is checked: it must come from the backend that the state before or after the change
// under way names. Not one request may fail, and none may be answered by a backend that no state meant.

// probe is a request that is sent over and over.
type probe struct{ host, path, ring string }

var probes = []probe{
	{"shop.test", "/", ""},
	{"shop.test", "/api/x", ""},
	{"shop.test", "/api/x", "beta"},
	{"w.shop.test", "/", ""},
	{"extra.test", "/", ""},
	{"stable.test", "/", ""},
}

// state is a configuration: files, and for each probe the backends that may answer. "404" stands for no route.
type state struct {
	what   string
	files  fstest.MapFS
	expect map[probe][]string
}

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func shop(name, hosts, routes string) *fstest.MapFile {
	return file("apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: " + name + "}\nspec:\n  hosts: [" + hosts + "]\n  port: 80\n  routes:\n" + routes)
}

// states gives the cycle of states; going from each to the next, and from the last to the first, is a change of one kind.
func states() []state {
	wild := shop("wild", `"*.shop.test"`, "  - {path: /, to: wild}\n")
	stable := shop("stable", "stable.test", "  - {path: /, to: stable}\n")
	base := func(what, shopRoutes string, change func(*state)) state {
		s := state{what: what,
			files: fstest.MapFS{"wild.yaml": wild, "stable.yaml": stable, "shop.yaml": shop("shop", "shop.test", shopRoutes)},
			expect: map[probe][]string{
				probes[0]: {"a"}, probes[1]: {"a"}, probes[2]: {"a"}, probes[3]: {"wild"}, probes[4]: {"404"}, probes[5]: {"stable"},
			}}
		if change != nil {
			change(&s)
		}
		return s
	}
	all := func(backends ...string) func(*state) {
		return func(s *state) {
			for _, p := range probes[:3] {
				s.expect[p] = backends
			}
		}
	}
	const toA, toAPI = "  - {path: /, to: a}\n", "  - {path: /api, to: api}\n"
	const ring = "  - {path: /api, headers: {x-ring: beta}, to: beta}\n"
	api := func(s *state) { s.expect[probes[1]], s.expect[probes[2]] = []string{"api"}, []string{"api"} }
	rings := func(s *state) { s.expect[probes[1]], s.expect[probes[2]] = []string{"api"}, []string{"beta"} }
	return []state{
		base("the beginning", toA, nil),
		base("backend flipped", "  - {path: /, to: b}\n", all("b")),
		base("flipped back", toA, nil),
		base("rule inserted in front", toAPI+toA, api),
		base("another in front of it", ring+toAPI+toA, rings),
		base("rules reordered", toA+toAPI+ring, rings),
		base("header filter on", "  - {path: /, to: a, requestHeaders: {set: {x-mark: one}}}\n"+toAPI+ring, rings),
		base("header filter off", toA+toAPI+ring, rings),
		base("rules taken away", toA, nil),
		base("weights", "  - {path: /, to: {a: 50, b: 50}}\n", all("a", "b")),
		base("other weights", "  - {path: /, to: {a: 1, b: 99}}\n", all("a", "b")),
		base("one backend again", toA, nil),
		base("renamed", toA, func(s *state) {
			delete(s.files, "shop.yaml")
			s.files["renamed.yaml"] = shop("renamed", "shop.test", toA)
		}),
		base("hostname added", toA, func(s *state) {
			s.files["shop.yaml"] = shop("shop", "shop.test, extra.test", toA)
			s.expect[probes[4]] = []string{"a"}
		}),
		base("hostname removed", toA, nil),
		base("exact host beside the wildcard", toA, func(s *state) {
			s.files["exact.yaml"] = shop("exact", "w.shop.test", "  - {path: /, to: exact}\n")
			s.expect[probes[3]] = []string{"exact"}
		}),
		base("wildcard alone", toA, nil),
		base("timeout and retry", "  - {path: /, to: a, timeout: 5s, retry: {attempts: 2, codes: [503]}}\n", nil),
	}
}

// referee knows which answers are right at any moment and keeps what was wrong.
type referee struct {
	mu      sync.Mutex
	allowed map[probe][]string
	what    string
	sent    int
	wrong   []string
}

// allow sets the answers that are right from now on: those of all the states.
func (r *referee) allow(what string, states ...state) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.what, r.allowed = what, map[probe][]string{}
	for _, s := range states {
		for p, backends := range s.expect {
			r.allowed[p] = append(slices.Clone(r.allowed[p]), backends...)
		}
	}
}

func (r *referee) now(p probe) ([]string, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.allowed[p], r.what
}

// ask sends one request and judges the answer: it may be right for the time it was sent at or for the time it came.
func (r *referee) ask(c *http.Client, p probe) {
	before, what := r.now(p)
	header := http.Header{}
	if p.ring != "" {
		header.Set("x-ring", p.ring)
	}
	a, err := lab.Get(c, p.host, p.path, header)
	after, _ := r.now(p)
	got := a.Service
	if a.Status != http.StatusOK {
		got = fmt.Sprint(a.Status)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
	if err != nil || !slices.Contains(before, got) && !slices.Contains(after, got) {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: %v answered by %q (%v), expected one of %v", what, p, got, err, slices.Concat(before, after)))
	}
}

// load sends 500 requests a second, round the probes, until ctx ends and all are answered.
func (r *referee) load(ctx context.Context, c *http.Client) {
	var pending sync.WaitGroup
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			pending.Go(func() { r.ask(c, probes[i%len(probes)]) })
		case <-ctx.Done():
			pending.Wait()
			return
		}
	}
}

// plane is the control plane of the matrix: a Stack without its Envoy, so that it can be killed and come back.
type plane struct {
	t        *testing.T
	stack    *Stack
	renderer *render.Renderer
	set      *object.Set
}

func newPlane(t *testing.T, o Options, socket string) *plane {
	t.Helper()
	stack, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stack.serveXDS(socket); err != nil {
		t.Fatal(err)
	}
	return &plane{t: t, stack: stack, renderer: render.New()}
}

// apply brings a state and waits until Envoy has acknowledged it.
func (p *plane) apply(s state) {
	p.t.Helper()
	result, err := p.renderer.Tree(s.files, ".", render.Options{Gateway: DefaultGateway, Namespace: DefaultNamespace})
	if err != nil {
		p.t.Fatalf("%s: %v", s.what, err)
	}
	c := agent.Change{Set: result.Set}
	c.Put, c.Removed = object.Diff(p.set, result.Set)
	p.set = result.Set
	if err := p.stack.Apply(p.t.Context(), c); err != nil {
		p.t.Fatalf("%s: %v", s.what, err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	if live, err := p.stack.Wait(ctx); err != nil || len(live.Refused) > 0 {
		p.t.Fatalf("%s: %v %v", s.what, err, live.Refused)
	}
}

// kill ends the control plane without a word to Envoy.
func (p *plane) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.stack.xds.Stop(ctx)
	if err := p.stack.Close(); err != nil {
		p.t.Error(err)
	}
}

func TestChangeMatrix(t *testing.T) {
	cycle := states()
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Listen: netip.MustParseAddr("127.0.0.1"), Ports: map[int32]uint16{80: uint16(port)}, Endpoints: backendsFor(t, cycle)}
	socket := filepath.Join(t.TempDir(), "xds.sock")
	cp := newPlane(t, options, socket)
	defer func() { cp.kill() }()
	startEnvoy(t, socket)

	r := &referee{}
	r.allow(cycle[0].what, cycle[0])
	cp.apply(cycle[0])
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() { r.load(ctx, lab.Client(port)) })

	const rounds = 11
	current, changes := cycle[0], 0
	for range rounds {
		for _, next := range append(cycle[1:], cycle[0]) {
			r.allow(next.what, current, next)
			cp.apply(next)
			r.allow(next.what, next)
			current = next
			changes++
			rest(t, 20*time.Millisecond) // so that the state is tried alone too
		}
		r.allow("control plane killed and restarted", current)
		ports := cp.stack.ports // its Envoy still holds them
		cp.kill()
		rest(t, 50*time.Millisecond)
		cp = newPlane(t, options, socket)
		cp.stack.ports = ports
		cp.apply(current)
		changes++
	}
	cancel()
	load.Wait()
	t.Logf("%d requests over %d changes, %d wrong", r.sent, changes, len(r.wrong))
	if changes < 200 || r.sent < changes {
		t.Errorf("%d changes and %d requests are too few to tell", changes, r.sent)
	}
	for i, w := range r.wrong {
		if i == 20 {
			break
		}
		t.Error(w)
	}
}

// rest lets time pass in which requests are answered.
func rest(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// backendsFor starts a server for every backend that any state names.
func backendsFor(t *testing.T, cycle []state) []Endpoint {
	t.Helper()
	names := map[string]bool{}
	for _, s := range cycle {
		for _, backends := range s.expect {
			for _, b := range backends {
				names[b] = true
			}
		}
	}
	delete(names, "404")
	var out []Endpoint
	for _, name := range slices.Sorted(maps.Keys(names)) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"service":%q}`, name)
		})}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { server.Close() })
		out = append(out, Endpoint{
			Service: types.NamespacedName{Namespace: DefaultNamespace, Name: name},
			Address: netip.MustParseAddrPort(l.Addr().String()),
		})
	}
	return out
}

// startEnvoy runs an Envoy that is fed from a socket, until the test ends.
func startEnvoy(t *testing.T, socket string) {
	t.Helper()
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{NodeID: "test", XDS: socket})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var log strings.Builder
	go func() {
		ended <- process.Run(ctx, process.Options{Path: envoyForTests(t), Bootstrap: bootstrap, Concurrency: 2, Log: &log})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Envoy: %v\n%s", err, log.String())
		}
	})
}

// envoyForTests finds the real Envoy.
func envoyForTests(t *testing.T) string {
	path := os.Getenv("HEADGATE_ENVOY")
	if path == "" {
		path = filepath.Join("..", "..", "..", ".cache", "envoy-1.40.0", "envoy")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the tests need a real Envoy; run `make envoy`: %v", err)
	}
	return path
}
