//go:build cluster

package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/schema"
)

// gitea is a Git host with a repository of its administrator.
type gitea struct {
	w                *world
	URL, User, Token string
}

func startGitea(w *world) *gitea {
	w.Helper()
	program := os.Getenv("HEADGATE_TESTGITEA")
	if program == "" {
		w.Fatal("HEADGATE_TESTGITEA names no program: run make test-cluster")
	}
	dir := filepath.Join(w.TempDir(), "gitea")
	w.Cleanup(func() {
		if out, err := exec.Command(program, "down", dir).CombinedOutput(); err != nil {
			w.Errorf("stopping Gitea: %v: %s", err, out)
		}
	})
	cmd := exec.Command(program, "up", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	w.must(err)
	g := &gitea{w: w}
	w.must(json.Unmarshal(out, g))
	return g
}

func (g *gitea) api(method, path string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(g.w.Context(), method, g.URL+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Authorization", "Bearer "+g.Token)
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if text, err = io.ReadAll(res.Body); err != nil {
		return err
	}
	if res.StatusCode > 299 {
		return fmt.Errorf("%s: %s", res.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// says waits until the newest status of a commit with a context is as wanted.
func (g *gitea) says(commit, context_, want string) {
	g.w.Helper()
	g.w.until("the host says of "+context_+": "+want, func(context.Context) error {
		var all []struct {
			ID                           int64
			Context, Status, Description string
		}
		if err := g.api("GET", "/repos/"+g.User+"/shop/commits/"+commit+"/statuses", nil, &all); err != nil {
			return err
		}
		newest, got := int64(0), ""
		for _, s := range all {
			if s.Context == context_ && s.ID > newest {
				newest, got = s.ID, s.Status+" "+s.Description
			}
		}
		if !strings.HasPrefix(got, want) {
			return fmt.Errorf("it says %q of %+v", got, all)
		}
		return nil
	})
}

// TestClusterDriftAtHost has drift told as a commit status to a real Gitea: bad while it is open, good when it is over, also when the Sync is deleted.
func TestClusterDriftAtHost(t *testing.T) {
	n := &night{world: newWorld(t, "headgate-host-test")}
	g := startGitea(n.world)
	n.must(g.api("POST", "/user/repos", map[string]any{"name": "shop"}, nil))
	repo := n.repository()
	first := repo.commit("Begin", "cart.yaml", cartSpec)
	repo.git("push", "-q", strings.Replace(g.URL, "://", "://"+g.User+":"+g.Token+"@", 1)+"/"+g.User+"/shop.git", "HEAD:main")
	n.must(n.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "host"}, StringData: map[string]string{"token": g.Token}}))
	n.start(Options{})
	n.sync = repo.sync("shop", func(s *schema.SyncSpec) {
		s.URL, s.Ref = g.URL+"/"+g.User+"/shop.git", &schema.SyncRef{Branch: "main"}
		s.Forge = &schema.SyncForge{Kind: "gitea", SecretRef: &schema.SyncSecret{Name: "host"}}
		s.Notify = []schema.SyncNotify{{Name: "commit", Type: schema.NotifyCommitStatus}}
	})
	n.ready(n.sync, first)
	n.until("everything is known", func(context.Context) error { return n.followed("shop") })
	const drifted = "headgate/headgate-host-test/shop/drift"
	n.kubectl("60s")
	g.says(first, drifted, "failure HTTPRoute headgate-host-test/cart drifted: spec.rules[0].timeouts.request by kubectl-edit")
	n.kubectl("10s")
	g.says(first, drifted, "success HTTPRoute headgate-host-test/cart: resolved after")

	n.until("a test notice is asked for", func(ctx context.Context) error {
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+schema.NotifyTestRequest+`":"now commit"}}}`))
		return n.Patch(ctx, n.sync.DeepCopy(), patch)
	})
	g.says(first, "headgate/headgate-host-test/shop/test", "success This is a test of receiver commit")

	n.kubectl("61s")
	g.says(first, drifted, "failure HTTPRoute")
	n.must(n.Delete(t.Context(), n.sync))
	g.says(first, drifted, "success HTTPRoute headgate-host-test/cart: resolved after")
	if strings.Contains(n.log.String(), g.Token) {
		t.Error("the token is in the log")
	}
}
