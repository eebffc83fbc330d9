package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"headgate.dev/cmd/internal/lab"
	"headgate.dev/cmd/internal/localca"
)

// everything is a tree without a Gateway that uses every protocol.
const everything = `apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec:
  hosts: [shop.test]
  port: 80
  routes: [{path: /}]
  grpc: [{method: shop.v1.Cart/Add}]
  tcp: [{port: 5432, to: "db:5432"}]
  udp: [{port: 5353, to: "dns:53"}]
  tls: [{hosts: [vault.test], to: "vault:8200"}]
`

// ends is a Gateway that ends TLS, whose Secrets are somewhere else.
const ends = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: headgate
  listeners:
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge}]}}
  - {name: wild, port: 443, protocol: HTTPS, hostname: "*.wild.test", tls: {certificateRefs: [{name: wild}]}}
  - {name: tls, port: 5432, protocol: TLS, hostname: db.test, tls: {certificateRefs: [{name: db}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: edge, port: 443}]
  hostnames: [shop.localhost, a.wild.test]
  rules: [{backendRefs: [{name: shop, port: 80}]}]
`

// protocols serves a tree with its own cache, and a local port for every port of Gateways.
type protocols struct {
	*sandbox
	local map[int]int
	cache string
}

func startProtocols(t *testing.T, tree string, ports ...int) *protocols {
	t.Helper()
	p := &protocols{local: map[int]int{}, cache: t.TempDir()}
	t.Setenv("XDG_CACHE_HOME", p.cache)
	var args []string
	for _, port := range ports {
		local, err := lab.FreePort()
		must(t, err)
		p.local[port] = local
		args = append(args, "--port", itoa(port)+"="+itoa(local))
	}
	p.sandbox = startUp(t, newRepo(t, map[string]string{"all.yaml": tree}), args...)
	if e := p.live(); len(e.Refused) > 0 {
		t.Fatalf("not served: %+v", e.Refused)
	}
	return p
}

func (p *protocols) roots() *x509.CertPool {
	p.Helper()
	ca, err := os.ReadFile(filepath.Join(p.cache, "headgate", "ca", "ca.crt"))
	must(p.TB, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return pool
}

func (p *protocols) address(port int) string { return "127.0.0.1:" + itoa(p.local[port]) }

// echoes reads the first line, says something and reads it again.
func echoes(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	r := bufio.NewReader(conn)
	got, err := r.ReadString('\n')
	if err != nil || got != line+"\n" {
		t.Errorf("the first line is %q, %v, want %q", got, err, line)
		return
	}
	_, err = io.WriteString(conn, "SELECT 1\n")
	must(t, err)
	if got, err = r.ReadString('\n'); err != nil || got != "SELECT 1\n" {
		t.Errorf("it answers %q, %v", got, err)
	}
}

func TestUpEveryProtocol(t *testing.T) {
	p := startProtocols(t, everything, 443, 5432, 5353)
	t.Run("HTTP", func(t *testing.T) {
		if a := p.get("shop.test", "/x"); a.Service != "shop" {
			t.Errorf("got %+v", a)
		}
	})
	t.Run("gRPC", func(t *testing.T) {
		conn, err := grpc.NewClient("127.0.0.1:"+itoa(p.port), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("shop.test"))
		must(t, err)
		defer conn.Close()
		got := &wrapperspb.StringValue{}
		must(t, conn.Invoke(p.ctx, "/shop.v1.Cart/Add", wrapperspb.String("ham"), got))
		if got.Value != "default/shop:80" {
			t.Errorf("got %v", got)
		}
		stream, err := conn.NewStream(p.ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/shop.v1.Cart/Add")
		must(t, err)
		for _, say := range []string{"one", "two"} {
			must(t, stream.SendMsg(wrapperspb.String(say)))
		}
		for _, want := range []string{"default/shop:80", "one", "two"} {
			if err := stream.RecvMsg(got); err != nil || got.Value != want {
				t.Fatalf("got %v, %v, want %q", got, err, want)
			}
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+itoa(p.port))
		must(t, err)
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		fmt.Fprintf(conn, "GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		r := bufio.NewReader(conn)
		response, err := http.ReadResponse(r, nil)
		must(t, err)
		first := make([]byte, 2+len("default/shop:80"))
		if _, err := io.ReadFull(r, first); err != nil || response.StatusCode != 101 || string(first[2:]) != "default/shop:80" {
			t.Errorf("got %d, %q, %v", response.StatusCode, first, err)
		}
	})
	t.Run("TCP", func(t *testing.T) {
		conn, err := net.Dial("tcp", p.address(5432))
		must(t, err)
		echoes(t, conn, "default/db:5432")
	})
	t.Run("UDP", func(t *testing.T) {
		conn, err := net.Dial("udp", p.address(5353))
		must(t, err)
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		for _, say := range []string{"one", "two"} {
			_, err = io.WriteString(conn, say)
			must(t, err)
			in := make([]byte, 100)
			n, err := conn.Read(in)
			if want := "default/dns:53\n" + say; err != nil || string(in[:n]) != want {
				t.Errorf("got %q, %v, want %q", in[:n], err, want)
			}
		}
	})
	t.Run("TLS passthrough", func(t *testing.T) {
		conn, err := tls.Dial("tcp", p.address(443), &tls.Config{RootCAs: p.roots(), ServerName: "vault.test"})
		must(t, err)
		echoes(t, conn, "default/vault:8200")
	})
	must(t, p.up.Stop())
}

func TestUpEndsTLS(t *testing.T) {
	p := startProtocols(t, ends, 443, 5432)
	for _, host := range []string{"shop.localhost", "a.wild.test"} {
		transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: p.roots(), ServerName: host}}
		r, err := http.NewRequestWithContext(p.ctx, http.MethodGet, "https://"+p.address(443)+"/x", nil)
		must(t, err)
		r.Host = host
		response, err := transport.RoundTrip(r)
		must(t, err)
		body, err := io.ReadAll(response.Body)
		must(t, err)
		response.Body.Close()
		transport.CloseIdleConnections()
		if response.StatusCode != 200 || response.ProtoMajor != 2 || !strings.Contains(string(body), `"service":"shop"`) {
			t.Errorf("%s: %d, %s, %s", host, response.StatusCode, response.Proto, body)
		}
	}
	must(t, p.up.Stop())
}

// TestUpBackendTLS: the echo backend answers for a Service that is to be spoken to with TLS; a real one is held to the policy.
func TestUpBackendTLS(t *testing.T) {
	ca, err := localca.New(time.Now())
	must(t, err)
	tree := "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec: {hosts: [shop.test], port: 443, backendTLS: {hostname: shop.internal, ca: shop-ca}}\n" +
		"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop-ca}\ndata:\n  ca.crt: |\n    " + strings.ReplaceAll(strings.TrimSpace(string(ca.Bundle())), "\n", "\n    ") + "\n"
	p := startProtocols(t, tree)
	if a := p.get("shop.test", "/"); a.Status != 200 || a.Service != "shop" {
		t.Errorf("got %+v", a)
	}
	// Behind this address there is nothing: what matters is that the echo backend is not asked any more, and is again later.
	p.commit("slice.yaml", "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: shop-1, labels: {kubernetes.io/service-name: shop}}\n"+
		"addressType: IPv4\nports: [{name: port-443, port: 443}]\nendpoints: [{addresses: [127.0.0.1]}]\n")
	if a := p.get("shop.test", "/"); a.Status != 503 {
		t.Errorf("got %+v", a)
	}
	p.commit("slice.yaml", "")
	if a := p.get("shop.test", "/"); a.Status != 200 {
		t.Errorf("got %+v", a)
	}
	must(t, p.up.Stop())
}

// TestUpWithoutCA ends, and says why.
func TestUpWithoutCA(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	must(t, os.MkdirAll(filepath.Join(cache, "headgate", "ca"), 0o755))
	local, err := lab.FreePort()
	must(t, err)
	s := startUp(t, newRepo(t, map[string]string{"all.yaml": ends}), "--port", "443="+itoa(local))
	e, err := s.up.Next(s.ctx, "error", "live")
	must(t, err)
	if len(e.Errors) != 1 || !strings.Contains(e.Errors[0].Message, "not yours alone") {
		t.Errorf("got %+v", e)
	}
	if err := s.up.Wait(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("exit: %v", err)
	}
}

// TestUpTellsWhatToTrust: whoever reads the output finds the URL, the CA and every port.
func TestUpTellsWhatToTrust(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	repo := newRepo(t, map[string]string{"all.yaml": ends})
	must(t, repo.Write("db.yaml", "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: db}\nspec: {tcp: [{port: 5432, to: \"db:5432\"}]}\n"))
	must(t, repo.Write("gateway.yaml", "apiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: public}\nspec: {default: true, ports: [{port: 5432, protocol: TCP}]}\n"))
	_, err := repo.Commit("All")
	must(t, err)
	var ports []string
	for _, port := range []int{443, 5432, 80} {
		local, err := lab.FreePort()
		must(t, err)
		ports = append(ports, "--port", itoa(port)+"="+itoa(local))
	}
	code, out, errs := headgate(t, append([]string{"up", repo.Dir, "--once", "--envoy", envoyForTests(t)}, ports...)...)
	for _, want := range []string{"https :", "https://shop.localhost:", "tcp :", "tcp://127.0.0.1:", "--cacert " + filepath.Join(cache, "headgate", "ca", "ca.crt")} {
		if !strings.Contains(out, want) {
			t.Errorf("exit %d; %q is missing in\n%s%s", code, want, out, errs)
		}
	}
}
