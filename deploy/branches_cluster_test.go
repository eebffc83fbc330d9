//go:build cluster

package deploy

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

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
	s.policy()
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

// policy: what the account of the documentation is denied though its role lets it, and what it is not.
func (s *previewStory) policy() {
	const own, foreign = "preview-story-policy", "story-policy-foreign"
	in := func(namespace string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: "policy-" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	}
	for _, name := range []string{own, foreign} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		s.must(client.IgnoreAlreadyExists(s.Create(s.Context(), namespace)))
		defer func() { s.must(s.Delete(context.Background(), namespace)) }()
	}
	cfg, err := config.GetConfig()
	s.must(err)
	cfg.Impersonate.UserName = "system:serviceaccount:" + storyNamespace + ":previews"
	as, err := client.New(cfg, client.Options{Scheme: s.Scheme()})
	s.must(err)
	denied := func(err error) bool {
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "this account makes routes in namespace")
	}
	s.until("the policy is in force", 30*time.Second, func(ctx context.Context) error {
		if err := as.Create(ctx, &corev1.ConfigMap{ObjectMeta: in(foreign)}, client.DryRunAll); !denied(err) {
			return fmt.Errorf("a ConfigMap in %s: %v", foreign, err)
		}
		return nil
	})
	production := &corev1.ConfigMap{ObjectMeta: in(storyNamespace)}
	s.create(production)
	dry := func(o client.Object) error { return as.Create(s.Context(), o, client.DryRunAll) }
	for _, test := range []struct {
		what    string
		err     error
		allowed bool
	}{
		{"a namespace of previews", dry(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "preview-story-another"}}), true},
		{"another namespace", dry(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "story-another"}}), false},
		{"deleting another namespace", as.Delete(s.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: foreign}}, client.DryRunAll), false},
		{"a route beside production", dry(&gwv1.HTTPRoute{ObjectMeta: in(storyNamespace)}), true},
		{"a Service beside production", dry(&corev1.Service{ObjectMeta: in(storyNamespace), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}), false},
		{"deleting what is production's", as.Delete(s.Context(), production, client.DryRunAll), false},
		{"a ConfigMap in a preview", dry(&corev1.ConfigMap{ObjectMeta: in(own)}), true},
		{"a route in a preview", dry(&gwv1.HTTPRoute{ObjectMeta: in(own)}), true},
		{"a route elsewhere", dry(&gwv1.HTTPRoute{ObjectMeta: in(foreign)}), false},
	} {
		if test.allowed && test.err != nil || !test.allowed && !denied(test.err) {
			s.Errorf("%s: %v; want it allowed: %t", test.what, test.err, test.allowed)
		}
	}
	s.must(s.Delete(s.Context(), production)) // nobody but this account is meant
}
