package local

import (
	"net"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/echo"
)

// TestTerminatedTLSSpeaksFirst: a Gateway that begins to end TLS changes what arrives at a backend.
func TestTerminatedTLSSpeaksFirst(t *testing.T) {
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21494, 443: 21495}})
	const route = "apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {name: sec}\nspec: {parentRefs: [{name: secure}], hostnames: [sec.test], rules: [{backendRefs: [{name: sec, port: 443}]}]}\n"
	passes := strings.Replace(secure, "hostname: sec.test, tls: {certificateRefs: [{name: one}]}", "hostname: sec.test, tls: {mode: Passthrough}", 1)
	h.must(passes, route)
	h.must(secure, route)
	conn, err := net.Dial("tcp", h.place("sec", 443, false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := firstLine(t, conn); got != "default/sec:443\n" {
		t.Errorf("sec says %q", got)
	}
	if speech, _ := h.stack.backends.used(servicePort{types.NamespacedName{Namespace: DefaultNamespace, Name: "sec"}, 443, false}); speech != echo.Stream {
		t.Errorf("it speaks %d", speech)
	}
}
