package main

import (
	"strings"
	"testing"
)

// TestUpAliases: every service is at SERVICE.localhost, whatever its hosts are, and nothing else is said of it.
func TestUpAliases(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{
		"shop.yaml": spec("shop", "shop.test", "  - path: /old\n    redirect: {path: /new, code: 308}\n  - path: /\n"),
		"any.yaml":  "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: any}\nspec: {port: 80}\n",
		"own.yaml":  spec("own", "own.localhost", ""),
		"a.yaml":    "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: twin, namespace: a}\nspec: {hosts: [a.test], port: 80}\n",
		"b.yaml":    "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: twin, namespace: b}\nspec: {hosts: [b.test], port: 80}\n",
	}))
	e := s.live()
	if e.Objects != 5 || len(e.Refused) != 0 || len(e.Hidden) != 0 {
		t.Errorf("first: %+v", e)
	}
	var said []string
	for _, w := range e.Warnings {
		said = append(said, w.File+": "+w.Message)
	}
	want := "a.yaml: twin.localhost could be one of 2 services: this one is at twin.a.localhost\n" +
		"b.yaml: twin.localhost could be one of 2 services: this one is at twin.b.localhost"
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("warnings:\n%s", got)
	}
	for host, service := range map[string]string{
		"shop.test": "default/shop", "shop.localhost": "default/shop", "any.localhost": "default/any", "other.test": "default/any",
		"own.localhost": "default/own", "twin.a.localhost": "a/twin", "twin.b.localhost": "b/twin",
	} {
		if a := s.get(host, "/x"); a.Namespace+"/"+a.Service != service {
			t.Errorf("%s leads to %+v, want %s", host, a, service)
		}
	}
	if a := s.get("shop.localhost", "/old"); a.Status != 308 {
		t.Errorf("redirect: %+v", a)
	}
	e = s.commit("b.yaml", "")
	if len(e.Warnings) != 0 {
		t.Errorf("warnings: %+v", e.Warnings)
	}
	if a := s.get("twin.localhost", "/"); a.Namespace != "a" {
		t.Errorf("the only twin: %+v", a)
	}
	// Another's host is not taken away.
	e = s.commit("thief.yaml", spec("thief", "shop.localhost", ""))
	if a := s.get("shop.localhost", "/"); a.Service != "thief" {
		t.Errorf("shop.localhost leads to %+v", a)
	}
	if len(e.Warnings) != 1 || e.Warnings[0].File != "shop.yaml" || !strings.Contains(e.Warnings[0].Message, "HTTPRoute default/thief") {
		t.Errorf("warnings: %+v", e.Warnings)
	}
	must(t, s.up.Stop())
}

// TestUpAliasesAtGateways: a Gateway for certain hosts only has the aliases at its own port, and takes no more routes of the tree
// for it.
func TestUpAliasesAtGateways(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{
		"gateway.yaml": "apiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: public}\nspec: {default: true, hosts: [shop.test]}\n",
		"shop.yaml":    spec("shop", "shop.test", ""),
		"raw.yaml":     "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart}\nspec: {parentRefs: [{name: public}], hostnames: [other.localhost], rules: [{backendRefs: [{name: cart, port: 80}]}]}\n",
	}))
	e := s.live()
	if a := s.get("shop.test", "/"); a.Service != "shop" {
		t.Errorf("shop.test: %+v", a)
	}
	if len(e.Listeners) != 1 {
		t.Errorf("listeners: %+v", e.Listeners)
	}
	if a := s.get("shop.localhost", "/"); a.Service != "shop" {
		t.Errorf("shop.localhost: %+v", a)
	}
	if a := s.get("other.localhost", "/"); a.Status != 404 {
		t.Errorf("other.localhost, which the Gateway does not have: %+v", a)
	}
	must(t, s.up.Stop())
}
