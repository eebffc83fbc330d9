package local

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestFronts: where aliases are reached at Gateways whose listeners have other hosts, and what is left of it afterwards.
func TestFronts(t *testing.T) {
	const class = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: %s, namespace: infra}\nspec:\n  gatewayClassName: headgate\n%s" +
		"  listeners: [{name: a, port: %d, protocol: HTTP, hostname: %s, allowedRoutes: {namespaces: {from: All}}}]\n"
	gateway := func(name, allowed string, port int, host string) string {
		if allowed != "" {
			allowed = "  allowedListeners: {namespaces: {from: " + allowed + "}}\n"
		}
		return fmt.Sprintf(class, name, allowed, port, host)
	}
	route := func(name, parent string) string {
		return fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: %s}\nspec: {parentRefs: [{name: %s, namespace: infra}], rules: [{backendRefs: [{name: %[1]s, port: 80}]}]}\n", name, parent)
	}
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21498, 8001: 21499}})
	for _, c := range []struct {
		name, want string
		files      []string
	}{
		{"no listener sets", "shop.localhost at infra/public by headgate-localhost", []string{gateway("public", "", 80, "shop.test"), route("shop", "public")}},
		{"none", "shop.localhost at infra/public by headgate-localhost", []string{gateway("public", "None", 80, "shop.test"), route("shop", "public")}},
		{"of its namespace", "shop.localhost at infra/public by infra", []string{gateway("public", "Same", 80, "shop.test"), route("shop", "public")}},
		{"of all", "shop.localhost at infra/public by infra", []string{gateway("public", "All", 80, "shop.test"), route("shop", "public")}},
		{"selected", "shop.localhost at default/localhost", []string{gateway("public", "Selector, selector: {matchLabels: {a: b}}", 80, "shop.test"), route("shop", "public")}},
		{"its own wildcard", "shop.localhost at infra/public", []string{gateway("public", "", 80, `"*.localhost"`), route("shop", "public")}},
		{"at another Gateway's port", "far.localhost at infra/public by headgate-localhost, shop.localhost at infra/public by headgate-localhost",
			[]string{gateway("public", "", 80, "shop.test"), gateway("zoo", "", 8001, "far.test"), route("shop", "public"), route("far", "zoo")}},
		{"no port for HTTP", "far.localhost at default/localhost", []string{gateway("zoo", "", 8001, "far.test"), route("far", "zoo")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.must(c.files...)
			var got []string
			for _, a := range h.stack.world.aliases {
				text := a.host + " at " + a.front.gateway.String()
				if a.front.set != (aliasSet{}) {
					text += " by " + a.front.set.namespace
				}
				got = append(got, text)
			}
			slices.Sort(got)
			if text := strings.Join(got, ", "); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
			hosts, _ := h.stack.Hosts()
			for _, a := range h.stack.world.aliases {
				if !slices.Contains(hosts, a.host) {
					t.Errorf("%s is not among %v", a.host, hosts)
				}
			}
		})
	}
}
