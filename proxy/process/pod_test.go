package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headgate.dev/proxy/process"
)

// echoing is the bootstrap of an Envoy with one listener for HTTP, which answers by itself, and one for TCP, which echoes.
func echoing(socket string, http, tcp int) []byte {
	return fmt.Appendf(nil, `
admin: {address: {pipe: {path: %q}}}
stats_flush_on_admin: true
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: g
          route_config: {virtual_hosts: [{name: a, domains: ["*"], routes: [{match: {prefix: "/"}, direct_response: {status: 200, body: {inline_string: hello}}}]}]}
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
  - address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains: [{filters: [{name: echo, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]}]
`, socket, http, tcp)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// probe asks a handler and returns the status and the text.
func probe(h http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestHealthAndDrain(t *testing.T) {
	socket, httpPort, tcpPort := socket(t), freePort(t), freePort(t)
	admin := process.NewAdmin("unix", socket)
	health := process.NewHealth(admin)
	if code, text := probe(health, "/readyz"); code != 503 || text != "Envoy does not run" {
		t.Errorf("before the start: %d %s", code, text)
	}
	o := options(binary(t), socket)
	o.Bootstrap = echoing(socket, httpPort, tcpPort)
	o.Started = health.Started
	r := run(t, o)
	health.Ready(receive(t, "Envoy is ready", r.ready))
	for path, want := range map[string]string{"/readyz": "ok", "/livez": "ok"} {
		if code, text := probe(health, path); code != 200 || text != want {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, text := probe(health, "/metrics"); code != 200 || !strings.Contains(text, "envoy_server_live{} 1") {
		t.Errorf("/metrics: %d %.200s", code, text)
	}
	if code, _ := probe(health, "/other"); code != 404 {
		t.Errorf("/other: %d", code)
	}

	// A client of HTTP that keeps its connection, and one of TCP.
	web, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", httpPort))
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	answers := bufio.NewReader(web)
	ask := func() *http.Response {
		t.Helper()
		fmt.Fprint(web, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(res.Body); string(text) != "hello" || err != nil {
			t.Errorf("the answer is %q (%v)", text, err)
		}
		return res
	}
	if res := ask(); res.Close {
		t.Error("the connection is closed while nobody drains")
	}
	tcp, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", tcpPort))
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()

	health.Drain()
	if code, text := probe(health, "/readyz"); code != 503 || text != "draining" {
		t.Errorf("draining: %d %s", code, text)
	}
	if code, _ := probe(health, "/livez"); code != 200 {
		t.Error("draining, it is not alive")
	}
	ctx := context.Background()
	if left, err := admin.Drain(ctx, process.Drain{Delay: time.Millisecond, Timeout: 50 * time.Millisecond, Poll: 5 * time.Millisecond}); left != 2 || err != nil {
		t.Errorf("with two clients: %d left (%v), want 2", left, err)
	}
	if res := ask(); !res.Close {
		t.Error("the connection is not closed while draining")
	}
	web.Close()
	// New ones are served all the while, and closed after their answer.
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", httpPort))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || !res.Close {
		t.Errorf("a new client: %s, close %v", res.Status, res.Close)
	}
	gone := make(chan error, 1)
	go func() {
		left, err := admin.Drain(ctx, process.Drain{Timeout: time.Minute, Poll: 5 * time.Millisecond})
		if left > 0 {
			err = errors.Join(err, fmt.Errorf("%d left", left))
		}
		gone <- err
	}()
	fmt.Fprint(tcp, "still here")
	if _, err := io.ReadFull(tcp, make([]byte, len("still here"))); err != nil {
		t.Errorf("a TCP client during the drain: %v", err)
	}
	select {
	case err := <-gone:
		t.Errorf("drained with a client connected: %v", err)
	default:
	}
	tcp.Close()
	if err := receive(t, "the end of the drain", gone); err != nil {
		t.Error(err)
	}
	cut, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := admin.Drain(cut, process.Drain{Delay: time.Minute}); err == nil {
		t.Error("a drain that may not begin has no error")
	}
	r.stop()
	if err := receive(t, "the end of Run", r.done); err != nil {
		t.Error(err)
	}
	health.Exited(nil, 0)
	if code, text := probe(health, "/readyz"); code != 503 || text != "draining" {
		t.Errorf("ended: %d %s", code, text)
	}
	if _, err := admin.Drain(ctx, process.Drain{}); err == nil {
		t.Error("draining no Envoy has no error")
	}
}

// An Envoy that ends takes readiness with it until the next one serves.
func TestHealthFollowsRestarts(t *testing.T) {
	health := process.NewHealth(process.NewAdmin("unix", "/nonexistent"))
	ready := func(want int) {
		t.Helper()
		if code, text := probe(health, "/readyz"); code != want {
			t.Errorf("/readyz: %d %s, want %d", code, text, want)
		}
	}
	health.Started(1)
	ready(503)
	health.Ready(1)
	ready(200)
	health.Exited(nil, 0)
	ready(503)
	health.Started(2)
	ready(503)
	if code, _ := probe(health, "/livez"); code != 200 {
		t.Error("an Envoy that starts is not alive")
	}
	if code, _ := probe(health, "/metrics"); code != 503 {
		t.Error("no Envoy has metrics")
	}
	health.Ready(2)
	ready(200)
}

// A probe that comes before Envoy is ready for the first time waits for it, within bounds; later ones answer at once.
func TestFirstProbeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		health := process.NewHealth(process.NewAdmin("unix", "/nonexistent"))
		health.Started(1)
		ask := func(want int, took time.Duration) {
			t.Helper()
			start := time.Now()
			if code, text := probe(health, "/readyz"); code != want || time.Since(start) != took {
				t.Errorf("/readyz: %d %s after %s, want %d after %s", code, text, time.Since(start), want, took)
			}
		}
		ask(503, 1500*time.Millisecond)
		time.AfterFunc(400*time.Millisecond, func() { health.Ready(1) })
		ask(200, 400*time.Millisecond)
		health.Exited(nil, 0)
		ask(503, 0)
	})
}

// What Envoy says on its standard output does not go through the log.
func TestStdoutApart(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var mu sync.Mutex
	var log strings.Builder
	o := process.Options{Path: script(t, "echo access\necho problem >&2\nexec cat\n"), Stdout: w,
		Log: writerFunc(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return log.Write(p) })}
	p := run(t, o)
	receive(t, "it runs", p.ready)
	line, err := bufio.NewReader(r).ReadString('\n')
	if line != "access\n" || err != nil {
		t.Errorf("standard output has %q (%v)", line, err)
	}
	eventually(t, "the log has its line", func() bool { mu.Lock(); defer mu.Unlock(); return log.String() == "problem\n" })
	w.Close()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
