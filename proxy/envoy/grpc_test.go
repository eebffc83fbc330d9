package envoy_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
)

const grpcModel = `
listeners:
- {gateway: {namespace: infra, name: public}, port: 80, protocol: HTTP, table: infra/public/80}
- gateway: {namespace: infra, name: public}
  port: 443
  protocol: TLS
  chains:
  - {serverName: "*", terminate: {certificates: [certificate/infra/any]}, table: infra/public/443/*}
secrets: [certificate/infra/any]
tables:
- {id: infra/public/443/*, misdirected: [else.test]}
clusters:
- id: {service: {namespace: t, name: shop}, port: 80, protocol: HTTP}
- id: {service: {namespace: t, name: none}, port: 80, protocol: H2C}
- id: {service: {namespace: t, name: health}, port: 80, protocol: H2C}
`

// grpcRoutes are the same on every host of the test.
const grpcRoutes = `
  routes:
  - source: {kind: GRPCRoute, namespace: t, name: health}
    match: {grpc: true, path: /grpc.health.v1.Health}
    forward: {backends: [{cluster: {service: {namespace: t, name: health}, port: 80, protocol: H2C}, weight: 1}]}
  - source: {kind: GRPCRoute, namespace: t, name: none}
    match: {grpc: true, path: /none.Service}
    forward: {backends: [{cluster: {service: {namespace: t, name: none}, port: 80, protocol: H2C}, weight: 1}]}
  - source: {kind: GRPCRoute, namespace: t, name: broken}
    match: {grpc: true, path: /broken.Service}
    status: 500
  - source: {kind: GRPCRoute, namespace: t, name: nothing}
    match: {grpc: true, path: /nothing.Service}
    forward: {backends: [{weight: 1}]}
  - source: {kind: GRPCRoute, namespace: t, name: half}
    match: {grpc: true, path: /half.Service}
    forward: {backends: [{weight: 1000000}, {cluster: {service: {namespace: t, name: health}, port: 80, protocol: H2C}, weight: 1}]}
  - source: {kind: HTTPRoute, namespace: t, name: shop}
    match: {path: /grpc.health.v1.Health}
    forward: {backends: [{cluster: {service: {namespace: t, name: shop}, port: 80, protocol: HTTP}, weight: 1}]}
`

// healthServer is a gRPC server with a trailer on every answer.
func healthServer(t *testing.T) (netip.AddrPort, *health.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "yes")); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}))
	h := health.NewServer()
	healthv1.RegisterHealthServer(server, h)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return netip.MustParseAddrPort(l.Addr().String()), h
}

func TestGRPC(t *testing.T) {
	text := grpcModel + "hosts:\n"
	for _, table := range []string{"infra/public/80", "infra/public/443/*"} {
		for _, host := range []string{"shop.test", "*.wild.test"} {
			text += "- id: {table: \"" + table + "\", name: \"" + host + "\"}" + grpcRoutes
		}
	}
	c := parse(t, []byte(text))
	b := &backends{addresses: map[string]netip.AddrPort{}, log: map[string][]seen{}}
	b.serve(t, "shop")
	address, h := healthServer(t)
	b.addresses["health"] = address
	for _, cl := range c.Clusters {
		e := &model.Endpoints{Cluster: cl.ID}
		if a, ok := b.addresses[cl.ID.Service.Name]; ok {
			e.List = []model.Endpoint{{Address: a}}
		}
		c.Endpoints = append(c.Endpoints, e)
	}
	o := envoy.Options{Bind: loopback}
	resources, _ := translate(t, c, o)
	p := start(t, append(resources, newCA(t, "servers").secrets(t, c.Secrets)...))
	for _, port := range []string{"80", "443"} {
		t.Run("port "+port, func(t *testing.T) { testGRPC(t, p, port, h) })
	}
	for _, c := range []struct{ contentType, want string }{
		{"", "shop"}, {"application/json", "shop"}, {"application/grpc-web", "shop"}, {"application/grpcx", "shop"},
		{"application/grpc", ""}, {"application/grpc+proto", ""}, {"application/grpc+json", ""},
	} {
		for _, host := range []string{"shop.test", "SHOP.test:80", "x.wild.test"} {
			a := p.get(t, "POST", host, "/grpc.health.v1.Health/Check", "content-type", c.contentType)
			if a.seen.Service != c.want || a.status != 200 && a.status != http.StatusUnsupportedMediaType {
				t.Errorf("%s: content type %q: %d from %q, want %q", host, c.contentType, a.status, a.seen.Service, c.want)
			}
		}
	}
	if a := p.get(t, "GET", "shop.test", "/none.Service/Get"); a.status != 404 {
		t.Errorf("a request that is not gRPC: %d", a.status)
	}
}

func testGRPC(t *testing.T, p *proxy, port string, h *health.Server) {
	secure := insecure.NewCredentials()
	if port == "443" {
		secure = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	for _, host := range []string{"shop.test", "SHOP.Test", "shop.test:8080", "a.wild.test", "A.b.WILD.test.", "nobody.test", "else.test"} {
		conn, err := grpc.NewClient("passthrough:///"+p.ports["infra/public/"+port], grpc.WithTransportCredentials(secure), grpc.WithAuthority(host))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		call := func(method string) codes.Code {
			ctx, cancel := context.WithTimeout(context.Background(), clientPatience)
			defer cancel()
			return status.Code(conn.Invoke(ctx, method, &healthv1.HealthCheckRequest{}, &healthv1.HealthCheckResponse{}))
		}
		if host == "nobody.test" || host == "else.test" {
			want := codes.Unimplemented
			if host == "else.test" && port == "443" {
				want = codes.Unknown // 421
			}
			if got := call("/grpc.health.v1.Health/Check"); got != want {
				t.Errorf("%s: %s, want %s", host, got, want)
			}
			continue
		}
		for method, want := range map[string]codes.Code{
			"/grpc.health.v1.Health/Check": codes.OK, "/grpc.health.v1.Health/No": codes.Unimplemented,
			"/other.Service/Get": codes.Unimplemented, "/none.Service/Get": codes.Unavailable, "/broken.Service/Get": codes.Unknown,
			"/nothing.Service/Get": codes.Unavailable, "/half.Service/Get": codes.Unavailable,
		} {
			if got := call(method); got != want {
				t.Errorf("%s%s: %s, want %s", host, method, got, want)
			}
		}
		testHealth(t, healthv1.NewHealthClient(conn), h, host)
	}
}

// testHealth: trailers, an error of the backend, and a stream.
func testHealth(t *testing.T, client healthv1.HealthClient, h *health.Server, host string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clientPatience)
	defer cancel()
	var trailer metadata.MD
	_, err := client.Check(ctx, &healthv1.HealthCheckRequest{Service: "missing"}, grpc.Trailer(&trailer))
	if status.Code(err) != codes.NotFound || strings.Join(trailer.Get("x-trailer"), "") != "yes" {
		t.Errorf("%s: %v, trailer %v", host, err, trailer)
	}
	h.SetServingStatus(host, healthv1.HealthCheckResponse_SERVING)
	watch, err := client.Watch(ctx, &healthv1.HealthCheckRequest{Service: host})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthv1.HealthCheckResponse_ServingStatus{healthv1.HealthCheckResponse_SERVING, healthv1.HealthCheckResponse_NOT_SERVING} {
		got, err := watch.Recv()
		if err != nil || got.Status != want {
			t.Errorf("%s: stream: %v %v, want %s", host, got, err, want)
		}
		h.SetServingStatus(host, healthv1.HealthCheckResponse_NOT_SERVING)
	}
}
