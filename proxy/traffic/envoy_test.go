package traffic_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/process"
	"headgate.dev/proxy/xds"
)

// envoyForTests finds the real Envoy.
func envoyForTests(t *testing.T) string {
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
		t.Fatalf("the tests need a real Envoy; run `make envoy`: %v", err)
	}
	return path
}

// table is what one connection can ask for: hosts by name.
type table struct {
	model.Table
	hosts map[string]*model.Host
}

func (tb *table) find(name string) *model.Host { return tb.hosts[name] }

func tableID(port int32) model.TableID { return model.TableID(fmt.Sprintf("infra/edge/%d", port)) }

var onLoopback = envoy.Options{Bind: func(model.ListenerID) netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:0") }}

// resources translates a listener with the tables that it serves.
func resources(t *testing.T, l *model.Listener, tables ...*table) []envoy.Resource {
	t.Helper()
	listener, err := envoy.Listener(l, onLoopback)
	if err != nil {
		t.Fatal(err)
	}
	out := []envoy.Resource{listener}
	for _, tb := range tables {
		var parts []*envoy.Part
		for _, h := range tb.hosts {
			r := envoy.Host(h, onLoopback)
			for _, p := range r.Problems {
				t.Fatalf("a random route is none: %s: %+v", p.Message, h.Routes)
			}
			if r.Part != nil {
				parts = append(parts, r.Part)
			}
			out = append(out, r.Resources...)
		}
		out = append(out, envoy.Wildcards(&tb.Table, parts, onLoopback)...)
	}
	return out
}

// startEnvoy runs an Envoy with resources until the test ends, and gives the address of each port.
func startEnvoy(t *testing.T, resources []envoy.Resource) map[int32]string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hg") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	server := xds.New(xds.Options{Authenticate: func(context.Context, xds.Peer) (xds.Identity, error) {
		return xds.Identity{Fleet: "test", Proxy: "one"}, nil
	}})
	socket, admin := filepath.Join(dir, "xds"), filepath.Join(dir, "admin")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{NodeID: "test", XDS: socket, Admin: admin})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var log bytes.Buffer
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	running.Go(func() {
		err := process.Run(ctx, process.Options{
			Path: envoyForTests(t), Bootstrap: bootstrap, Concurrency: 1, Log: &log, StopTimeout: time.Second})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Envoy: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		stopped, stop := context.WithCancel(context.Background())
		stop()
		server.Stop(stopped)
		running.Wait()
		_ = os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("Envoy's log:\n%s", log.String())
		}
	})
	server.Publish("test", 1, resources)
	wait, end := context.WithTimeout(ctx, 30*time.Second)
	defer end()
	status, err := server.Wait(wait, "test", 1)
	if err != nil || len(status.Refused) > 0 {
		t.Fatalf("Envoy refuses the tables: %v %+v", err, status.Refused)
	}
	return addresses(t, admin)
}

func addresses(t *testing.T, admin string) map[int32]string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", admin)
	}}}
	resp, err := client.Get("http://admin/listeners?format=json")
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
	out := map[int32]string{}
	for _, s := range answer.Statuses {
		var port int32
		if _, err := fmt.Sscanf(s.Name, "infra/edge/%d", &port); err != nil {
			t.Fatalf("listener %q: %v", s.Name, err)
		}
		out[port] = net.JoinHostPort(s.Address.Socket.Address, fmt.Sprint(s.Address.Socket.Port))
	}
	return out
}

// wire sends requests byte for byte as they are given, over one connection as long as Envoy keeps it.
type wire struct {
	addr string
	tls  *tls.Config // nil: plain text
	conn net.Conn
	in   *bufio.Reader
}

func (w *wire) dial() (err error) {
	if w.conn, err = net.Dial("tcp", w.addr); err != nil {
		return err
	}
	if w.tls != nil {
		w.conn = tls.Client(w.conn, w.tls)
	}
	w.in = bufio.NewReader(w.conn)
	return nil
}

func (w *wire) send(request, method string) (status int, header http.Header, err error) {
	if w.conn == nil {
		if err := w.dial(); err != nil {
			return 0, nil, err
		}
	}
	if err := w.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, nil, err
	}
	if _, err := io.WriteString(w.conn, request); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		return 0, nil, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, nil, err
	}
	if resp.Close {
		w.close()
	}
	return resp.StatusCode, resp.Header, nil
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}
