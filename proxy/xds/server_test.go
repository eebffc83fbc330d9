package xds_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/xds"
)

// serve runs a server on loopback and returns a client of it.
func serve(t testing.TB, o xds.Options) (*xds.Server, discovery.AggregatedDiscoveryServiceClient) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := xds.New(o)
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		s.Stop(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s, discovery.NewAggregatedDiscoveryServiceClient(conn)
}

// Who is not authenticated gets nothing, and the node ID counts for nothing.
func TestAuthenticate(t *testing.T) {
	refuse := func(context.Context, xds.Peer) (xds.Identity, error) { return xds.Identity{}, errors.New("a stranger") }
	for _, c := range []struct {
		name string
		hook func(context.Context, xds.Peer) (xds.Identity, error)
		want string
	}{
		{"no hook", nil, "no proxy may connect"},
		{"refused", refuse, "a stranger"},
	} {
		_, client := serve(t, xds.Options{Authenticate: c.hook})
		stream, err := client.DeltaAggregatedResources(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want Unauthenticated with %q", c.name, err, c.want)
		}
	}
}

func TestStateOfTheWorldRefused(t *testing.T) {
	_, client := serve(t, xds.Options{})
	stream, err := client.StreamAggregatedResources(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stream.Recv(); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "DELTA_GRPC") {
		t.Errorf("got %v, want Unimplemented and the remedy", err)
	}
}

// A proxy that reads nothing holds nobody up; once it reads, it gets the newest state, not the history.
func TestStuckProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, proxies: map[string]*fakeProxy{}}
		w.serve()
		defer w.close()
		w.server.Publish("f", 1, nil)
		if err := w.connect("stuck"); err != nil {
			t.Fatal(err)
		}
		p := w.cur
		p.hold()
		if err := p.request("RDS", []string{"+big", "+small"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		const changes = 200
		change := func(name string, n int) xds.Change {
			return xds.Change{Key: envoy.Key{Type: envoy.RouteType, Name: name}, Version: fmt.Sprint(n), Body: bytes.Repeat([]byte{'x'}, 64<<10)}
		}
		for n := range uint64(changes) {
			w.server.Publish("f", n+2, []xds.Change{change("big", int(n)), change("small", int(n))})
			synctest.Wait()
		}
		const newest = changes + 1
		if st := w.server.Status("f", newest); st.Pending != 1 {
			t.Errorf("while the proxy is stuck the newest epoch is %+v, want pending", st)
		}
		if sent := w.server.Counts().Responses; sent > 50 {
			t.Errorf("%d responses wait for a proxy that reads nothing: want few, and the rest as one change", sent)
		}
		p.release()
		synctest.Wait()
		last := map[string]string{}
		for _, m := range p.received {
			for _, r := range m.Resources {
				last[r.Name] = r.Version
			}
		}
		if want := fmt.Sprint(changes - 1); last["big"] != want || last["small"] != want {
			t.Errorf("the proxy has %v, want version %s of both", last, want)
		}
		if err := p.ack(nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if st, err := w.server.Wait(ctx, "f", newest); err != nil || !st.Live() {
			t.Errorf("Wait: %+v, %v", st, err)
		}
	})
}

// Wait ends with its context, or as soon as the last ready proxy has answered.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, proxies: map[string]*fakeProxy{}}
		w.serve()
		defer w.close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if st, err := w.server.Wait(ctx, "f", 1); !errors.Is(err, context.DeadlineExceeded) || st.Settled() {
			t.Errorf("Wait without a proxy: %+v, %v; want the context's error", st, err)
		}
		answered := make(chan xds.Status)
		go func() {
			st, err := w.server.Wait(context.Background(), "f", 1)
			if err != nil {
				t.Error(err)
			}
			answered <- st
		}()
		play := func(command string) {
			if err := w.do(strings.Fields(command)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		play("publish 1 CDS/a=1")
		play("connect p")
		play("request CDS")
		select {
		case st := <-answered:
			t.Fatalf("Wait returned %+v before the answer", st)
		default:
		}
		play("ack")
		if st := <-answered; !st.Live() || !w.server.Ready(xds.Identity{Fleet: "f", Proxy: "p"}) {
			t.Errorf("after the answer: %+v, want live and the proxy ready", st)
		}
		w.server.Drop("f")
		synctest.Wait()
		if heard := w.heard(); !strings.Contains(heard, "the fleet of this proxy is gone") {
			t.Errorf("after Drop the stream is still there: %s", heard)
		}
	})
}
