package local

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func service(name, hosts string) string {
	return fmt.Sprintf("apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: %s}\nspec: {hosts: [%s], port: 80}\n", name, hosts)
}

// reach gives the aliases as "host: route", sorted.
func (h *holder) reach() string {
	var out []string
	for ref, a := range h.stack.world.aliases {
		out = append(out, a.host+": "+ref.Name.Name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestAliases(t *testing.T) {
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21496}})
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("h%d.test", i))
	}
	raw := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: %s}\nspec: {parentRefs: [{name: %s}], hostnames: [%s], rules: [{backendRefs: [{name: %[1]s, port: 80}]}]}\n"
	for name, test := range map[string]struct {
		files []string
		reach string
	}{
		"a spec with several routes": {[]string{service("shop", strings.Join(many, ", "))}, "shop.localhost: shop-2.localhost, shop.localhost: shop.localhost"},
		"a name that looks like it":  {[]string{service("shop", "a.test"), service("shop-2", "b.test")}, "shop-2.localhost: shop-2.localhost, shop.localhost: shop.localhost"},
		"its own host":               {[]string{service("shop", "shop.localhost, shop.test")}, ""},
		"its own wildcard":           {[]string{service("all", `"*.localhost"`)}, ""},
		"a redirect":                 {[]string{"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {parentRefs: [{name: local}], rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: a.test}}]}]}\n"}, ""},
		"a Gateway that is not":      {[]string{fmt.Sprintf(raw, "lost", "nowhere", "a.test")}, ""},
		"a name with a dot":          {[]string{fmt.Sprintf(raw, "a.b", "local", "a.test")}, ""},
		"no service at all":          {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h.must(append(test.files, "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n")...)
			if got := h.reach(); got != test.reach {
				t.Errorf("aliases %s, want %s", got, test.reach)
			}
			if errs := h.stack.AliasConflicts(); len(errs) > 0 {
				t.Errorf("conflicts: %v", errs)
			}
		})
	}
}

// TestAliasConflicts are told at the service that does without.
func TestAliasConflicts(t *testing.T) {
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21496}})
	h.must(service("all", `"*.localhost"`), service("shop", "shop.test"))
	var got []string
	for _, e := range h.stack.AliasConflicts() {
		got = append(got, e.Error())
	}
	want := []string{
		"b.yaml:1:1: shop.localhost does not lead here, because HTTPRoute default/all has that host",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestAliasesHaveALimit: a tree that grows too large loses them, and one that shrinks gets them back.
func TestAliasesHaveALimit(t *testing.T) {
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21496}})
	var all strings.Builder
	for i := range MaxAliases {
		all.WriteString("---\n" + service(fmt.Sprintf("s%d", i), fmt.Sprintf("s%d.test", i)))
	}
	h.must(all.String())
	if got := len(h.stack.world.aliases); got != MaxAliases {
		t.Errorf("%d aliases", got)
	}
	h.must(all.String(), service("more", "more.test"))
	if got := len(h.stack.world.aliases); got != 0 {
		t.Errorf("%d aliases", got)
	}
	h.must(service("more", "more.test"))
	if got := h.reach(); got != "more.localhost: more.localhost" {
		t.Errorf("got %s", got)
	}
	if rows, total := h.stack.Rows(10); total != 1 || rows[0].Alias != "http://more.localhost:21496/" {
		t.Errorf("got %+v", rows)
	}
	if services, routes := h.stack.Count(); services != 1 || routes != 1 {
		t.Errorf("%d services, %d routes", services, routes)
	}
}
