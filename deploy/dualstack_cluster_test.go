//go:build cluster

package deploy

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

const dualNamespace = "headgate-dual-test"

// In a cluster with both families a Gateway that asks for both has an address of each, and answers at both; so does one with a static
// address of the second family. This test needs such a cluster; make test-cluster-dual has one.
func TestClusterDualStack(t *testing.T) {
	w := newWorld(t)
	w.install()
	w.clear(dualNamespace)
	w.steadyIn(dualNamespace)
	defer func() { w.in(t).clear(dualNamespace) }()
	both, one := corev1.IPFamilyPolicyRequireDualStack, int32(1)
	w.create(&schema.ProxyConfig{ObjectMeta: metav1.ObjectMeta{Namespace: dualNamespace, Name: "both"}, Spec: schema.ProxyConfigSpec{
		Replicas: &one, Concurrency: &one, Drain: &schema.ProxyDrain{Delay: "0s", Timeout: "5s"}, Service: &schema.ProxyService{IPFamilyPolicy: &both},
	}})
	six := w.dual("both", "").As16()
	six[15] = 200 // of those that the test cluster gives, and not the next one
	w.dual("static", netip.AddrFrom16(six).String())
}

// dual makes a Gateway of both families, with a static address if there is one, and gives its address of the second family.
func (w *world) dual(name, static string) netip.Addr {
	w.Helper()
	g := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: dualNamespace, Name: name}}
	g.Spec.GatewayClassName = "headgate"
	g.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}}
	g.Spec.Infrastructure = &gwv1.GatewayInfrastructure{ParametersRef: &gwv1.LocalParametersReference{Group: schema.Group, Kind: schema.KindProxyConfig, Name: "both"}}
	if static != "" {
		kind := gwv1.IPAddressType
		g.Spec.Addresses = []gwv1.GatewaySpecAddress{{Type: &kind, Value: static}}
	}
	r := route(name, name+".example", "steady")
	r.Namespace, r.Spec.ParentRefs[0].Name = dualNamespace, gwv1.ObjectName(name)
	w.create(g, r)
	families := map[bool]netip.Addr{}
	w.until("Gateway "+name+" has an address of each family", 2*time.Minute, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		for _, a := range g.Status.Addresses {
			ip, err := netip.ParseAddr(a.Value)
			if err != nil {
				return err
			}
			families[ip.Is4()] = ip
		}
		if len(families) < 2 {
			return fmt.Errorf("its status is %+v", g.Status)
		}
		return nil
	})
	for _, ip := range families {
		w.until(name+" answers at "+ip.String(), time.Minute, func(ctx context.Context) error {
			address := ip.String()
			if ip.Is6() {
				address = "[" + address + "]"
			}
			code, body, err := ask(ctx, address, name+".example")
			if err == nil && (code != http.StatusOK || body != "steady") {
				err = fmt.Errorf("status %d: %s", code, body)
			}
			return err
		})
	}
	if static != "" && families[false] != netip.MustParseAddr(static) {
		w.Errorf("Gateway %s has %v, want %s", name, families, static)
	}
	return families[false]
}
