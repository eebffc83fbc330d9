//go:build cluster

package deploy

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/schema"
)

// TestClusterBranches: branches get previews from git alone, without any host's API.
func TestClusterBranches(t *testing.T) {
	s := &previewStory{story: &story{world: newWorld(t), dir: filepath.Join(t.TempDir(), "repo")}, top: t}
	s.tool("crds", "standard")
	s.tool("load-image", "../bin/headgate-image.tar")
	s.tool("kubectl", "apply", "--server-side", "--force-conflicts", "-k", "crds")
	s.freePreviews(t.Context())
	s.freshNamespaces()
	s.accountForPreviews()
	s.stop = s.startController()
	s.createGateway()
	beta, endpoints := service("beta", s.host, s.backend(t, "the beta"))
	beta.Namespace, endpoints.Namespace = storyNamespace, storyNamespace
	s.create(beta, endpoints)
	s.begin(s.serve())
	branches := func(names ...string) {
		s.must(s.Get(t.Context(), client.ObjectKeyFromObject(s.sync), s.sync))
		s.sync.Spec.Forge, s.sync.Spec.Previews.PullRequests = nil, nil
		s.sync.Spec.Previews.Branches = &schema.PreviewBranches{Names: names}
		s.must(s.Update(t.Context(), s.sync))
	}
	look := func() {
		s.must(s.Get(t.Context(), client.ObjectKeyFromObject(s.sync), s.sync))
		was := client.MergeFrom(s.sync.DeepCopy())
		metav1.SetMetaDataAnnotation(&s.sync.ObjectMeta, schema.ReconcileRequest, time.Now().Format(time.RFC3339Nano))
		s.must(s.Patch(t.Context(), s.sync, was))
	}
	const shop, plain = "shop-feature-cart." + previewDomain, "shop-other." + previewDomain
	first := s.commit("feature/cart", "main", "shop.yaml", s.spec("shop", "shop.story.example", "beta"))
	s.commit("other", "main", "shop.yaml", s.spec("shop", "shop.story.example", "beta"))
	branches("feature/*")
	took := s.answers(shop, "/", "", 200, "the beta")
	t.Logf("asked for, it answered after %s", took)
	s.answers("shop.story.example", "/", "feature-cart", 200, "the beta")
	s.is("shop.story.example", "the shop")
	s.answers(plain, "/", "", 404, "")
	// Production moves on, and the branch catches up: what it is compared with is found anew.
	s.main = s.commit("main", "main", "note.txt", "nothing that is rendered")
	s.git("checkout", "-q", "feature/cart")
	s.git("merge", "-q", "-m", "Catch up", "main")
	second := s.git("rev-parse", "HEAD")
	look()
	s.until("the preview follows", time.Minute, func(ctx context.Context) error {
		var p schema.Preview
		err := s.Get(ctx, client.ObjectKey{Namespace: storyNamespace, Name: "shop.feature-cart"}, &p)
		if err == nil && (p.Spec.Commit != second || p.Spec.Base != s.main || !strings.HasSuffix(p.Status.Revision, second)) {
			err = fmt.Errorf("first %s, then %s from %s; it is %+v, %+v", first, second, s.main, p.Spec, p.Status)
		}
		return err
	})
	s.is(shop, "the beta")
	// The branch is deleted.
	s.git("checkout", "-q", "main")
	s.git("branch", "-q", "-D", "feature/cart")
	look()
	s.answers(shop, "/", "", 404, "")
	s.is("shop.story.example", "the shop")
}
