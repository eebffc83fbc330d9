package main

import (
	"strings"
	"testing"
)

// TestAdmittedIsWhatIsShown: explain and diff ask what an API server would say to the objects that they show, and to no others.
func TestAdmittedIsWhatIsShown(t *testing.T) {
	const bad = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: bad, namespace: default}\nspec:\n" +
		"  parentRefs: [{name: local}]\n  hostnames: [bad.test]\n  rules: [{backendRefs: [{name: a, port: 80, weight: -1}]}]\n"
	repo := newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", ""), "bad.yaml": bad})
	if code, out, errs := headgate(t, "explain", repo.Dir, "--host", "hello.test"); code != exitFine {
		t.Errorf("what is elsewhere: exit %d\n%s%s", code, out, errs)
	}
	code, _, errs := headgate(t, "explain", repo.Dir, "--host", "bad.test")
	if code != exitInput || !strings.Contains(errs, "bad.yaml:7:") {
		t.Errorf("explain: exit %d\n%s", code, errs)
	}
	must(t, repo.Write("bad.yaml", strings.Replace(bad, "weight: -1", "weight: -2", 1)))
	code, _, errs = headgate(t, "diff", repo.Dir)
	if code != exitInput || !strings.Contains(errs, "bad.yaml:7:") {
		t.Errorf("diff: exit %d\n%s", code, errs)
	}
	if code, _, _ := headgate(t, "validate", repo.Dir); code != exitInput {
		t.Errorf("validate: exit %d", code)
	}
}
