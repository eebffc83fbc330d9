package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPreviewDiff writes the comment of a pull request that is behind main: only what it changes itself is in it.
func TestPreviewDiff(t *testing.T) {
	s := &sandbox{TB: t, repo: newRepo(t, map[string]string{"shop.yaml": by("shop", "shop"), "other.yaml": by("other", "other")})}
	const branch = "a|b<img/src=x>`@team`"
	s.onBranch(branch, "shop.yaml", by("shop", "shop-v2"))
	s.onBranch(branch, "<b>@team`|.yaml", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\n")
	must(t, s.repo.Write("other.yaml", by("other", "other-v2")))
	_, err := s.repo.Commit("Main moves on")
	must(t, err)
	code, out, errs := headgate(t, "preview", "diff", branch, s.repo.Dir, "--domain", "preview.example.com", "--name", "pr-42")
	if code != 0 {
		t.Fatalf("%d: %s", code, errs)
	}
	for _, want := range []string{"**Preview** http://shop-pr-42.preview.example.com\n", "| `shop.test /` | `shop:80` | `shop-v2:80` |",
		"rule kind", "1 change of traffic; objects: 1 added, 1 changed, 0 removed"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "other") {
		t.Errorf("what only main changed is in it:\n%s", out)
	}
	for _, bad := range []string{"<img", "<b>@", "`@team", "a|b"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q is not escaped in\n%s", bad, out)
		}
	}

	code, out, _ = headgate(t, "preview", "diff", branch, s.repo.Dir, "--fork")
	if code != 0 || !strings.HasPrefix(out, "**Not previewed:**") {
		t.Errorf("as a fork: %d\n%s", code, out)
	}

	s.onBranch("broken", "shop.yaml", "kind: x\n")
	code, out, _ = headgate(t, "preview", "diff", "broken", s.repo.Dir)
	if code != 1 || !strings.Contains(out, "**Not previewed:** `broken@") || !strings.Contains(out, "- `shop.yaml:1:") {
		t.Errorf("broken: %d\n%s", code, out)
	}
	code, out, _ = headgate(t, "preview", "diff", "main", s.repo.Dir)
	if code != 0 || !strings.Contains(out, "Every request is answered as before.") {
		t.Errorf("of itself: %d\n%s", code, out)
	}
	if code, _, errs = headgate(t, "preview", "diff", "nothing", s.repo.Dir); code != 1 || !strings.Contains(errs, "refs/heads/nothing") {
		t.Errorf("of nothing: %d %s", code, errs)
	}
}

// TestPreviewDiffOfALink: a link is never followed, and the comment says so.
func TestPreviewDiffOfALink(t *testing.T) {
	s := &sandbox{TB: t, repo: newRepo(t, map[string]string{"shop.yaml": by("shop", "shop")})}
	must(t, os.Symlink("/etc/passwd", filepath.Join(s.repo.Dir, "link.yaml")))
	s.onBranch("link", "kustomization.yaml", "resources: [shop.yaml, link.yaml]\n")
	code, out, _ := headgate(t, "preview", "diff", "link", s.repo.Dir)
	if code != 1 || !strings.Contains(out, "link") || strings.Contains(out, "root:") {
		t.Errorf("%d\n%s", code, out)
	}
	s.onBranch("remote", "kustomization.yaml", "resources: [shop.yaml, 'https://example.test/x.yaml']\n")
	if code, out, _ = headgate(t, "preview", "diff", "remote", s.repo.Dir); code != 1 || !strings.Contains(out, "kustomization.yaml:1") {
		t.Errorf("%d\n%s", code, out)
	}
}
