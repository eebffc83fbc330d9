package xds_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/process"
	"headgate.dev/proxy/xds"
)

// rig is a real Envoy, fed by a Server over a Unix socket, and what is needed to see what it does.
type rig struct {
	t      testing.TB
	dir    string
	server *xds.Server
	served chan error
	port   int // where Envoy listens
	epoch  uint64
	client *http.Client
	ready  chan int // the process serves
	first  chan xds.Identity
	log    lockedLog

	mu      sync.Mutex
	refused []string
}

// child is who the only proxy is.
var child = xds.Identity{Fleet: "f", Proxy: "envoy"}

// binary is the Envoy to test with.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("HEADGATE_ENVOY")
	if path == "" {
		path, _ = filepath.Abs("../../.cache/envoy-1.40.0/envoy")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no Envoy to test with (%v): run make envoy", err)
	}
	return path
}

// newRig starts the server and Envoy; the first publish makes Envoy listen.
func newRig(t testing.TB) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "hg") // a short path, for sockets
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: dir, port: freePort(t), ready: make(chan int, 10), first: make(chan xds.Identity, 10)}
	r.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
		},
	}}
	r.serve()
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := process.Run(ctx, process.Options{
			Path: binary(t), Concurrency: 1, Log: &r.log, MinBackOff: time.Millisecond,
			Bootstrap: bootstrapOf(r.socket("xds"), r.socket("admin")),
			Serving:   process.Live("unix", r.socket("admin")),
			Ready:     func(pid int) { r.ready <- pid },
		}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wait.Wait()
		r.stop()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) socket(name string) string { return filepath.Join(r.dir, name) }

// serve starts a server on the socket of the rig.
func (r *rig) serve() {
	r.t.Helper()
	l, err := net.Listen("unix", r.socket("xds"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.server = xds.New(xds.Options{
		Authenticate: func(context.Context, xds.Peer) (xds.Identity, error) { return child, nil },
		Observer:     r,
		RemoveAfter:  300 * time.Millisecond,
	})
	r.served = make(chan error, 1)
	go func(s *xds.Server) { r.served <- s.Serve(l) }(r.server)
}

// stop ends the server in order.
func (r *rig) stop() {
	r.server.Stop(context.Background())
	if err := <-r.served; err != nil {
		r.t.Error(err)
	}
}

func (r *rig) Connected(xds.Identity)           {}
func (r *rig) Ready(id xds.Identity)            { r.first <- id }
func (r *rig) Disconnected(xds.Identity, error) {}
func (r *rig) Nacked(_ xds.Identity, k envoy.Key, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, fmt.Sprintf("%s %s: %s", k.Type, k.Name, message))
}

// publish makes changes as one epoch.
func (r *rig) publish(changes ...xds.Change) {
	r.epoch++
	r.server.Publish("f", r.epoch, changes)
}

// wait waits until everything published is answered.
func (r *rig) wait() xds.Status {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	st, err := r.server.Wait(ctx, "f", r.epoch)
	if err != nil {
		r.t.Fatalf("%v: %+v\nEnvoy's log:\n%s", err, st, r.log.String())
	}
	return st
}

// get asks Envoy for a host and returns the status and the backend's name.
func (r *rig) get(host string) (int, string, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		return 0, "", err
	}
	res, err := r.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// expect asks once.
func (r *rig) expect(host string, code int, body string) {
	r.t.Helper()
	c, b, err := r.get(host)
	if c != code || code == http.StatusOK && b != body || err != nil {
		r.t.Errorf("%s answers %d %q (%v), want %d %q", host, c, b, err, code, body)
	}
}

// admin asks Envoy's admin interface.
func (r *rig) admin(path string) string {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", r.socket("admin"))
		}}}
	res, err := client.Get("http://envoy" + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}

// load is requests for one host without a pause, on several connections.
type load struct {
	t      testing.TB
	stop   func()
	mu     sync.Mutex
	done   int
	wrong  []string // errors, codes other than 200, bodies that are not as they should be
	worker sync.WaitGroup
}

func (r *rig) load(host string, bodies ...string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{t: r.t, stop: cancel}
	for range 4 {
		l.worker.Go(func() {
			for ctx.Err() == nil {
				code, body, err := r.get(host)
				l.mu.Lock()
				l.done++
				if err != nil || code != http.StatusOK || !slices.Contains(bodies, body) {
					l.wrong = append(l.wrong, fmt.Sprintf("%d %q %v", code, body, err))
				}
				l.mu.Unlock()
			}
		})
	}
	return l
}

// pass lets some more requests be answered.
func (l *load) pass() {
	l.t.Helper()
	const some = 20
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.done
	}
	until := count() + some
	eventually(l.t, "requests are answered", func() bool { return count() >= until })
}

// end stops the load and complains if anything went wrong.
func (l *load) end() {
	l.t.Helper()
	l.pass()
	l.stop()
	l.worker.Wait()
	if len(l.wrong) > 0 {
		l.t.Errorf("%d of %d requests went wrong: %.10q", len(l.wrong), l.done, l.wrong)
	}
}

// backend is a server that answers with its name; it returns the port.
func backend(t testing.TB, name string) int {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: not within 20 s", what)
		panic("unreachable")
	}
}

// eventually waits for a condition that no event announces.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

// lockedLog keeps Envoy's log.
type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
