package main

import (
	"slices"
	"strings"
	"testing"

	"headgate.dev/cmd/internal/lab"
)

// branch waits for what is said about a branch.
func (s *sandbox) branch(name string) lab.Event {
	s.Helper()
	for {
		e, err := s.up.Next(s.ctx, "branch")
		must(s.TB, err)
		if e.Branch == name {
			return e
		}
	}
}

func (s *sandbox) git(args ...string) string {
	s.Helper()
	out, err := s.repo.Git(args...)
	must(s.TB, err)
	return out
}

// onBranch commits a file on a branch without HEAD being there at any time.
func (s *sandbox) onBranch(branch, name, content string) {
	s.Helper()
	parent := "HEAD"
	if s.git("for-each-ref", "refs/heads/"+branch) != "" {
		parent = "refs/heads/" + branch
	}
	s.git("read-tree", "--reset", "-u", parent)
	must(s.TB, s.repo.Write(name, content))
	s.git("add", "-A")
	tree := s.git("write-tree")
	commit := s.git("commit-tree", tree, "-p", parent, "-m", "On "+branch)
	s.git("reset", "-q", "--hard")
	s.git("clean", "-q", "-fd")
	s.git("update-ref", "refs/heads/"+branch, commit)
}

// by is a spec of a service that another Service answers for.
func by(name, service string) string {
	return "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: " + name + "}\nspec: {hosts: [" + name + ".test], port: 80, service: " + service + "}\n"
}

const twoPaths = `apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec:
  hosts: [shop.test]
  port: 80
  routes:
  - {path: /}
  - {path: /cart, to: CART}
`

// TestUpBranches: what a branch changes is served beside main, and the rest is main's, also once main has moved on.
func TestUpBranches(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{
		"shop.yaml":  strings.ReplaceAll(twoPaths, "CART", "cart"),
		"other.yaml": spec("other", "other.test", ""),
		"api.yaml":   "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: api}\nspec: {hosts: [shop.test], port: 80, routes: [{path: /api}]}\n",
	}))
	s.live()
	answers := func(host, path, service string) {
		t.Helper()
		if a := s.get(host, path); a.Status != 200 || a.Service != service {
			t.Errorf("%s%s: status %d by %q, want %q", host, path, a.Status, a.Service, service)
		}
	}
	s.onBranch("feature/Cart", "shop.yaml", strings.ReplaceAll(twoPaths, "CART", "cart-v2"))
	e := s.branch("feature/Cart")
	const host = "shop-feature-cart.localhost"
	if want := []string{"http://" + host + ":" + itoa(s.port)}; !slices.Equal(e.URLs, want) || len(e.Errors)+len(e.NotPreviewed) > 0 {
		t.Errorf("got %+v, want %v", e, want)
	}
	answers(host, "/cart", "cart-v2")
	answers(host, "/", "shop")
	answers(host, "/api/x", "api")
	answers("shop.test", "/cart", "cart")
	answers("shop.localhost", "/cart", "cart")
	if a := s.get("other-feature-cart.localhost", "/"); a.Status != 404 {
		t.Errorf("what the branch does not change is there too: %+v", a)
	}

	s.commit("api.yaml", "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: api}\nspec: {hosts: [shop.test], port: 80, service: api-v2, routes: [{path: /api}]}\n")
	s.onBranch("second", "other.yaml", by("other", "other-v2"))
	s.branch("second")
	answers(host, "/api/x", "api-v2")
	answers(host, "/cart", "cart-v2")
	answers("other-second.localhost", "/", "other-v2")

	s.onBranch("second", "other.yaml", "kind: nonsense\n")
	if e := s.branch("second"); len(e.Errors) == 0 || e.Errors[0].File != "other.yaml" {
		t.Errorf("got %+v", e)
	}
	answers("other-second.localhost", "/", "other-v2") // the last good one
	answers("shop.test", "/cart", "cart")

	s.git("merge", "-q", "-m", "Merge", "feature/Cart")
	if e := s.branch("feature/Cart"); !e.Gone {
		t.Errorf("got %+v", e)
	}
	answers("shop.test", "/cart", "cart-v2")
	s.git("branch", "-D", "second")
	if e := s.branch("second"); !e.Gone {
		t.Errorf("got %+v", e)
	}
	for _, gone := range []string{host, "other-second.localhost"} {
		if a := s.get(gone, "/"); a.Status != 404 {
			t.Errorf("%s is still there: %+v", gone, a)
		}
	}
	must(t, s.up.Stop())
}

// TestUpStrangeBranches: names that are no label, a service that is gone, one that a branch adds in a namespace of its own, and what cannot be previewed.
func TestUpStrangeBranches(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"a.yaml": spec("a", "a.test", ""), "b.yaml": spec("b", "b.test", "")}))
	s.live()
	long := strings.Repeat("x", 200)
	s.onBranch(long, "a.yaml", by("a", "long"))
	e := s.branch(long)
	if len(e.URLs) != 1 {
		t.Fatalf("got %+v", e)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(e.URLs[0], "http://"), ":"+itoa(s.port))
	if label, _, _ := strings.Cut(host, "."); len(label) > 63 {
		t.Errorf("the label %q is too long", label)
	}
	if a := s.get(host, "/"); a.Service != "long" {
		t.Errorf("%s: %+v", host, a)
	}
	s.onBranch("$(id)", "c.yaml", "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: c, namespace: new}\nspec: {hosts: [c.test], port: 80, tcp: [{port: 9, to: x}], routes: [{path: /}]}\n")
	e = s.branch("$(id)")
	if !slices.Equal(e.URLs, []string{"http://c-id.localhost:" + itoa(s.port)}) || len(e.NotPreviewed) != 1 || !strings.Contains(e.NotPreviewed[0].Message, "rule port") {
		t.Errorf("got %+v", e)
	}
	if a := s.get("c-id.localhost", "/"); a.Service != "c" || a.Namespace != "new" {
		t.Errorf("got %+v", a)
	}
	must(t, s.up.Stop())
}

func TestUpBranchesFlag(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"up . --branches -1", "expected a number"},
		{"up . --branches 3 --worktree", "goes with no --worktree"},
		{"up https://git.example.test/x --branches 3", "local repository"},
	} {
		if code, _, errs := headgate(t, strings.Fields(c.args)...); code != 2 || !strings.Contains(errs, c.want) {
			t.Errorf("%s: %d, %s", c.args, code, errs)
		}
	}
}
