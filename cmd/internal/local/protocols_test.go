package local

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/cmd/internal/localca"
)

const (
	many = `apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec:
  hosts: [shop.test]
  port: 80
  tcp: [{port: 21510, to: "db:5432"}]
  udp: [{port: 21511, to: "dns:53"}]
  tls: [{hosts: [sec.test], to: "sec:443"}]
  grpc: [{method: a.B/C}]
`
	secure = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: secure}
spec:
  gatewayClassName: headgate
  tls: {backend: {clientCertificateRef: {name: shown}}}
  listeners:
  - {name: any, port: 21512, protocol: HTTPS, tls: {certificateRefs: [{name: any}]}}
  - {name: one, port: 21512, protocol: HTTPS, hostname: "*.shop.test", tls: {certificateRefs: [{name: one}]}}
  - {name: own, port: 21512, protocol: HTTPS, hostname: own.test, tls: {certificateRefs: [{name: own}]}}
  - {name: end, port: 21513, protocol: TLS, hostname: sec.test, tls: {certificateRefs: [{name: one}]}}
`
	own = `apiVersion: v1
kind: Secret
metadata: {name: own}
type: kubernetes.io/tls
stringData: {tls.crt: a, tls.key: b}
`
)

func (h *holder) place(service string, port int32, udp bool) string {
	h.Helper()
	at, has := h.stack.backends.addresses[servicePort{types.NamespacedName{Namespace: DefaultNamespace, Name: service}, port, udp}]
	if !has {
		h.Fatalf("%s:%d has no address", service, port)
	}
	return at.String()
}

func firstLine(t *testing.T, conn net.Conn) string {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// TestProtocols: in a tree without a Gateway the default one has every port, and the echo backend speaks what arrives.
func TestProtocols(t *testing.T) {
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21494, 443: 21495}})
	h.must(many)
	var sockets []string
	for _, id := range h.stack.world.sockets() {
		sockets = append(sockets, h.stack.ports.at(id, h.stack.ports.assigned[id]).network()+" "+h.stack.ports.bind(id).String())
	}
	if want := []string{"tcp 127.0.0.1:21494", "tcp 127.0.0.1:21495", "tcp 127.0.0.1:21510", "udp 127.0.0.1:21511"}; !slices.Equal(sockets, want) {
		t.Errorf("sockets %v, want %v", sockets, want)
	}
	db, err := net.Dial("tcp", h.place("db", 5432, false))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got := firstLine(t, db); got != "default/db:5432\n" {
		t.Errorf("db says %q", got)
	}
	dns, err := net.Dial("udp", h.place("dns", 53, true))
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	if _, err := io.WriteString(dns, "x"); err != nil {
		t.Fatal(err)
	}
	if got := firstLine(t, dns); got != "default/dns:53\n" {
		t.Errorf("dns says %q", got)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(h.stack.world.ca.Bundle())
	sec, err := tls.Dial("tcp", h.place("sec", 443, false), &tls.Config{RootCAs: roots, ServerName: "sec.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer sec.Close()
	if got := firstLine(t, sec); got != "default/sec:443\n" {
		t.Errorf("sec says %q", got)
	}
	if h.stack.CA() != "" {
		t.Error("a CA is to be trusted, but no listener has its certificate")
	}
	h.must(hello)
	if got := h.stack.world.sockets(); len(got) != 1 {
		t.Errorf("ports that no route wants any more: %v", got)
	}
}

// TestCertificates: a Secret that is in the tree is left alone; every other is made, for the names of its listeners.
func TestCertificates(t *testing.T) {
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21494}})
	h.must(secure, own, hello)
	names := func() map[string]string {
		out := map[string]string{}
		for ref, c := range h.stack.world.certificates {
			out[ref.Name.Name] = strings.Join(c.names, " ")
		}
		return out
	}
	want := map[string]string{"any": "hello.localhost hello.test localhost", "one": "*.shop.test sec.test", "shown": "secure.default"}
	if got := names(); len(got) != 3 || got["shown"] != want["shown"] || got["any"] != want["any"] || got["one"] != want["one"] {
		t.Errorf("got %q, want %q", got, want)
	}
	if path := h.stack.CA(); !strings.HasPrefix(path, os.Getenv("XDG_CACHE_HOME")) {
		t.Errorf("the CA is at %q", path)
	}
	now := time.Now()
	if out := h.stack.world.complete(nil, now.Add(localca.LeafValidity-localca.Renew-time.Hour)); len(out) != 0 {
		t.Errorf("renewed too early: %v", out)
	}
	if out := h.stack.world.complete(nil, now.Add(localca.LeafValidity-localca.Renew+time.Hour)); len(out) != 3 {
		t.Errorf("not renewed: %v", out)
	}
	h.must(secure, own, strings.ReplaceAll(own, "own", "any"), hello)
	if got := names(); len(got) != 2 || got["one"] != want["one"] {
		t.Errorf("got %q", got)
	}
}
