//go:build cluster

package deploy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/schema"
)

const (
	previewDomain = "preview.story.example"
	shopSpec      = "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec:\n  hosts: [shop.story.example]\n  port: 80\n"
	cartSpec      = "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: cart}\nspec:\n  hosts: [cart.story.example]\n  port: 80\n  service: shop\n"
)

// previewStory is a story whose repository is served by git itself, with a Sync that has previews. The test decides which Previews there are.
type previewStory struct {
	*story
	sync *schema.Sync
	top  *testing.T // the whole test, which the controller is for
	stop func()     // of the controller
	main string     // the commit that production is at
}

// TestClusterPreview: what a pull request changes answers beside production, follows its pushes and production, and is gone with it.
func TestClusterPreview(t *testing.T) {
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
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"routing", s.routing}, {"push", s.push}, {"broken", s.broken}, {"production moves", s.productionMoves}, {"workload", s.workload},
		{"fork", s.fork}, {"collision", s.collision}, {"restart", s.restart}, {"end", s.end}, {"no previews", s.noPreviews},
		{"no Sync", s.noSync},
	} {
		if !t.Run(step.name, func(t *testing.T) { s.in(t); step.do() }) {
			break
		}
	}
	s.in(t)
}

// freePreviews lets the Previews of an earlier run go, to whose finalizers nobody would see.
func (s *previewStory) freePreviews(ctx context.Context) {
	var old schema.PreviewList
	s.must(s.List(ctx, &old, client.InNamespace(storyNamespace)))
	for i := range old.Items {
		free := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		s.must(client.IgnoreNotFound(s.Patch(ctx, &old.Items[i], free)))
	}
	var namespaces corev1.NamespaceList
	s.must(s.List(ctx, &namespaces, client.HasLabels{"headgate.dev/preview"}))
	for i := range namespaces.Items {
		s.must(client.IgnoreNotFound(s.Delete(ctx, &namespaces.Items[i])))
	}
}

// accountForPreviews makes the account of the documentation.
func (s *previewStory) accountForPreviews() {
	text, err := os.ReadFile("previews/account.yaml")
	s.must(err)
	names := strings.NewReplacer("namespace: shop}", "namespace: "+storyNamespace+"}", ":shop:", ":"+storyNamespace+":", "== 'shop'", "== '"+storyNamespace+"'")
	s.toolWith(names.Replace(string(text)), "kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-")
}

// serve serves the repository over HTTP, and gives its address. As the usual hosts do, it gives any commit it has.
func (s *previewStory) serve() string {
	execPath, err := exec.Command("git", "--exec-path").Output()
	s.must(err)
	s.must(os.MkdirAll(s.dir, 0o755))
	s.git("init", "-q", "-b", "main", ".")
	s.git("config", "user.name", "Ada")
	s.git("config", "user.email", "ada@example.com")
	s.git("config", "uploadpack.allowAnySHA1InWant", "true")
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"), Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(s.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}}
	server := httptest.NewServer(backend)
	s.Cleanup(server.Close)
	return server.URL + "/repo/.git"
}

// commit commits files (pairs of name and content; no content removes it) to a branch that begins where another one is.
func (s *previewStory) commit(branch, from string, files ...string) string {
	s.Helper()
	s.git("checkout", "-q", "-B", branch, from)
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(s.dir, files[i])
		if files[i+1] == "" {
			s.must(os.Remove(path))
			continue
		}
		s.must(os.MkdirAll(filepath.Dir(path), 0o755))
		s.must(os.WriteFile(path, []byte(files[i+1]), 0o600))
	}
	s.git("add", "-A")
	s.git("commit", "-q", "-m", "Change "+branch)
	return s.git("rev-parse", "HEAD")
}

// begin makes production, and a Sync that follows it.
func (s *previewStory) begin(url string) {
	s.git("commit", "-q", "--allow-empty", "-m", "Begin")
	s.main = s.commit("main", "HEAD", "shop.yaml", shopSpec, "cart.yaml", cartSpec)
	s.sync = &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: storyNamespace, Name: "shop"}, Spec: schema.SyncSpec{
		URL: url, Ref: &schema.SyncRef{Branch: "main"}, Interval: "1h", Gateway: storyNamespace + "/public", ServiceAccountName: "deployer",
		Forge: &schema.SyncForge{Kind: "gitea"},
		Previews: &schema.SyncPreviews{PullRequests: &schema.PreviewPullRequests{}, Domain: previewDomain, Mode: schema.PreviewByBoth,
			ServiceAccountName: "previews", Forks: &schema.PreviewForks{Registries: []string{"headgate.dev"}}},
		Notify: []schema.SyncNotify{{Name: "events", Type: schema.NotifyEvent, Events: []schema.NotifyEventType{schema.EventPreview}}},
	}}
	s.create(s.sync)
	t := s.T
	t.Cleanup(func() {
		s.in(t)
		s.stop()
		s.freePreviews(context.Background())
	})
	s.production(s.main)
}

// production waits until a commit is applied.
func (s *previewStory) production(commit string) {
	s.Helper()
	s.until("production is at "+commit[:7], time.Minute, func(ctx context.Context) error {
		err := s.Get(ctx, client.ObjectKeyFromObject(s.sync), s.sync)
		if err == nil && (!meta.IsStatusConditionTrue(s.sync.Status.Conditions, schema.SyncReady) || !strings.HasSuffix(s.sync.Status.Revision, commit)) {
			err = fmt.Errorf("its status is %+v", s.sync.Status)
		}
		return err
	})
}

// preview makes the Preview of a pull request.
func (s *previewStory) preview(number int64, commit, base string, fork bool) *schema.Preview {
	s.Helper()
	p := &schema.Preview{ObjectMeta: metav1.ObjectMeta{Namespace: storyNamespace, Name: fmt.Sprintf("shop-pr-%d", number), OwnerReferences: []metav1.OwnerReference{
		*metav1.NewControllerRef(s.sync, k8sschema.GroupVersionKind{Group: schema.Group, Version: "v1alpha1", Kind: schema.KindSync}),
	}}, Spec: schema.PreviewSpec{Sync: "shop", Name: fmt.Sprintf("pr-%d", number), Number: number, Author: "ada", Commit: commit, Base: base, Fork: fork}}
	s.git("update-ref", fmt.Sprintf("refs/pull/%d/head", number), commit)
	s.create(p)
	return p
}

// pushed makes a commit the head of a Preview.
func (s *previewStory) pushed(p *schema.Preview, commit string) {
	s.Helper()
	s.git("update-ref", fmt.Sprintf("refs/pull/%d/head", p.Spec.Number), commit)
	s.must(s.Patch(s.Context(), p, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"commit":%q}}`, commit))))
}

// get asks the Gateway for a path of a host, for a preview by header where one is named.
func (s *previewStory) get(ctx context.Context, host, path, header string) (int, string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, nil)
	if err != nil {
		return 0, "", err
	}
	q.Host = host
	if header != "" {
		q.Header.Set("x-headgate-preview", header)
	}
	res, err := visitor.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// answers waits until a host answers with a text, or with a status where that is no 200, and says how long that took.
func (s *previewStory) answers(host, path, header string, code int, text string) time.Duration {
	s.Helper()
	return s.until(fmt.Sprintf("%s%s answers %d %q", host, path, code, text), time.Minute, func(ctx context.Context) error {
		got, body, err := s.get(ctx, host, path, header)
		if err == nil && (got != code || code == http.StatusOK && body != text) {
			err = fmt.Errorf("%d %q", got, body)
		}
		return err
	})
}

// is holds that production answers as it does.
func (s *previewStory) is(host, text string) {
	s.Helper()
	if code, body, err := s.get(s.Context(), host, "/", ""); err != nil || code != http.StatusOK || body != text {
		s.Errorf("%s answers %d %q, %v; want %q", host, code, body, err, text)
	}
}

// becomes waits until a condition of a Preview is as wanted for its head, and gives its message.
func (s *previewStory) becomes(p *schema.Preview, kind string, status metav1.ConditionStatus, reason string) (message string) {
	s.Helper()
	s.until(fmt.Sprintf("Preview %s is %s=%s (%s)", p.Name, kind, status, reason), time.Minute, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		c := meta.FindStatusCondition(p.Status.Conditions, kind)
		if c == nil || c.Status != status || reason != "" && c.Reason != reason || c.ObservedGeneration != p.Generation {
			return fmt.Errorf("its status is %+v", p.Status)
		}
		message = c.Message
		return nil
	})
	return message
}

func (s *previewStory) spec(name, host, to string) string {
	return "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: " + name + "}\nspec:\n  hosts: [" + host + "]\n  port: 80\n  routes:\n  - to: " + to + "\n"
}

// told waits until people were told something of previews: an Event of the Sync says it, or one that sums up what was too much for a minute.
func (s *previewStory) told(text string) {
	s.Helper()
	s.until("people are told: "+text, 2*time.Minute, func(ctx context.Context) error {
		var all eventsv1.EventList
		if err := s.List(ctx, &all, client.InNamespace(storyNamespace)); err != nil {
			return err
		}
		var notes []string
		for _, e := range all.Items {
			if e.Regarding.Kind == schema.KindSync && e.Action == "Notify" {
				notes = append(notes, e.Note)
			}
		}
		if !slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, text) }) {
			return fmt.Errorf("they are told %q", notes)
		}
		return nil
	})
}

// routing: a pull request that changes routes alone answers at hosts of its own and by header, and production is what it was.
func (s *previewStory) routing() {
	head := s.commit("pr42", "main", "shop.yaml", s.spec("shop", "shop.story.example", "beta"), "cart.yaml", s.spec("cart", "cart.story.example", "beta"))
	p := s.preview(42, head, s.main, false)
	s.Logf("Preview written → 200: %s", s.answers("shop-pr-42."+previewDomain, "/", "", 200, "the beta").Round(time.Millisecond))
	s.answers("cart-pr-42."+previewDomain, "/", "", 200, "the beta")
	s.answers("shop.story.example", "/", "pr-42", 200, "the beta")
	s.answers("shop.story.example", "/", "pr-41", 200, "the shop")
	s.is("shop.story.example", "the shop")
	s.is("cart.story.example", "the shop")
	s.Logf("Live: %s", s.becomes(p, schema.PreviewLive, metav1.ConditionTrue, agent.ReasonLive))
	s.becomes(p, schema.PreviewReady, metav1.ConditionTrue, agent.ReasonApplied)
	s.told("Preview pr-42: " + head[:7] + " is live")
	st := p.Status
	if st.URL != "http://cart-pr-42."+previewDomain || st.Revision != "pr-42@sha1:"+head || st.Pushed == nil || len(st.Sites) != 2 || len(st.Refusals) != 0 {
		s.Errorf("its status is %+v", st)
	}
	if !slices.Contains(p.Finalizers, "headgate.dev/preview") {
		s.Errorf("its finalizers are %v", p.Finalizers)
	}
	var namespaces corev1.NamespaceList
	s.must(s.List(s.Context(), &namespaces, client.MatchingLabels{"headgate.dev/preview": "pr-42"}))
	if len(namespaces.Items) != 0 {
		s.Errorf("there is a namespace for routes alone: %v", namespaces.Items)
	}
}

func (s *previewStory) find(number int64) *schema.Preview {
	s.Helper()
	p := &schema.Preview{}
	s.must(s.Get(s.Context(), client.ObjectKey{Namespace: storyNamespace, Name: fmt.Sprintf("shop-pr-%d", number)}, p))
	return p
}

// push: what a further commit changes is changed, and what it takes back is gone.
func (s *previewStory) push() {
	p := s.find(42)
	head := s.commit("pr42", "pr42", "cart.yaml", cartSpec, "shop.yaml",
		s.spec("shop", "shop.story.example", "shop")+"  - path: /beta\n    to: beta\n")
	s.pushed(p, head)
	s.Logf("pushed → gone: %s", s.answers("cart-pr-42."+previewDomain, "/", "", 404, "").Round(time.Millisecond))
	s.answers("shop-pr-42."+previewDomain, "/", "", 200, "the shop")
	s.answers("shop-pr-42."+previewDomain, "/beta", "", 200, "the beta")
	s.answers("cart.story.example", "/", "pr-42", 200, "the shop")
	s.becomes(p, schema.PreviewLive, metav1.ConditionTrue, agent.ReasonLive)
	if p.Status.URL != "http://shop-pr-42."+previewDomain || !strings.HasSuffix(p.Status.Revision, head) {
		s.Errorf("its status is %+v", p.Status)
	}
}

// broken: a head that does not render says where, and what was served is served on.
func (s *previewStory) broken() {
	p := s.find(42)
	good := p.Status.Revision
	s.pushed(p, s.commit("bad42", "pr42", "shop.yaml", shopSpec+"  timeout: soon\n"))
	message := s.becomes(p, schema.PreviewReady, metav1.ConditionFalse, agent.ReasonRender)
	for _, want := range []string{"shop.yaml:7:3", "spec.timeout", agent.ShortRevision(good) + " stays applied"} {
		if !strings.Contains(message, want) {
			s.Errorf("%q is not in %q", want, message)
		}
	}
	if p.Status.Revision != good {
		s.Errorf("%s is applied", p.Status.Revision)
	}
	s.answers("shop-pr-42."+previewDomain, "/beta", "", 200, "the beta")
	s.pushed(p, s.git("rev-parse", "pr42"))
	s.becomes(p, schema.PreviewReady, metav1.ConditionTrue, agent.ReasonApplied)
}

// productionMoves: what production gets at the host of the preview's service, the preview gets as well.
func (s *previewStory) productionMoves() {
	s.main = s.commit("main", "main", "help.yaml",
		"apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: help}\nspec:\n  hosts: [shop.story.example]\n  port: 80\n  routes:\n  - path: /help\n    to: beta\n")
	s.git("checkout", "-q", "main")
	s.must(s.Patch(s.Context(), s.sync, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+schema.ReconcileRequest+`":"moved"}}}`))))
	s.production(s.main)
	s.answers("shop.story.example", "/help", "", 200, "the beta")
	s.answers("shop-pr-42."+previewDomain, "/help", "", 200, "the beta")
	s.answers("shop-pr-42."+previewDomain, "/beta", "", 200, "the beta")
}

// podServer is a Deployment whose pods answer with a text: an Envoy without anything behind it.
func podServer(name, text string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: envoy
        image: `+clusterImage+`
        imagePullPolicy: Never
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        command: [/usr/bin/envoy, --concurrency, "1", --disable-hot-restart, --config-yaml]
        args:
        - |
          static_resources:
            listeners:
            - address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
              filter_chains:
              - filters:
                - name: http
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                    stat_prefix: http
                    http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
                    route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: %[2]q}}}]}]}
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  selector: {app: %[1]s}
  ports: [{port: 80, targetPort: 8080}]
`, name, text)
}

// workload: a pull request that brings a workload has it in a namespace of its own, in bounds.
func (s *previewStory) workload() {
	head := s.commit("pr43", "main", "web.yaml", podServer("web", "from a pod")+"---\n"+
		"apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: web}\nspec:\n  hosts: [web.story.example]\n  port: 80\n")
	p := s.preview(43, head, s.main, false)
	s.Logf("Preview with a new pod written → 200: %s", s.answers("web-pr-43."+previewDomain, "/", "", 200, "from a pod").Round(time.Millisecond))
	s.becomes(p, schema.PreviewReady, metav1.ConditionTrue, agent.ReasonApplied)
	s.becomes(p, schema.PreviewLive, metav1.ConditionTrue, "")
	own := agent.PreviewNamespace(storyNamespace, "shop", &p.Spec)
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: own}}, &corev1.ResourceQuota{}, &corev1.LimitRange{}, &networkingv1.NetworkPolicy{},
		&gwv1.ReferenceGrant{}, &corev1.ServiceAccount{},
	} {
		if o.GetName() == "" {
			o.SetNamespace(own)
			o.SetName("preview")
		}
		s.must(s.Get(s.Context(), client.ObjectKeyFromObject(o), o))
		if o.GetLabels()["headgate.dev/preview"] != "pr-43" || o.GetLabels()["headgate.dev/sync"] != "preview.shop-pr-43" {
			s.Errorf("the labels of %T are %v", o, o.GetLabels())
		}
	}
	if code, _, err := s.get(s.Context(), "web.story.example", "/", ""); err != nil || code != http.StatusNotFound {
		s.Errorf("production answers %d, %v", code, err)
	}
}

// fork: a stranger's head is that of the pull request or nothing, and may do less.
func (s *previewStory) fork() {
	good := s.commit("fork44", "main", "cart.yaml", s.spec("cart", "cart.story.example", "shop")+"  - path: /more\n    to: shop\n")
	p := s.preview(44, good, s.main, true)
	s.answers("cart-pr-44."+previewDomain, "/more", "", 200, "the shop")
	s.becomes(p, schema.PreviewReady, metav1.ConditionTrue, agent.ReasonApplied)
	bad := s.commit("fork44bad", "fork44", "secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: stolen}\nstringData: {a: b}\n")
	s.pushed(p, bad)
	message := s.becomes(p, schema.PreviewReady, metav1.ConditionFalse, agent.ReasonFork)
	if !strings.Contains(message, "secret.yaml:1:1") || !strings.Contains(message, "(rule secret)") {
		s.Errorf("it says %q", message)
	}
	s.answers("cart-pr-44."+previewDomain, "/more", "", 200, "the shop")
	// What is not the head of the pull request is not taken, even though the server has it.
	s.git("update-ref", "refs/pull/44/head", good)
	other := s.commit("other", "main", "cart.yaml", s.spec("cart", "cart.story.example", "beta"))
	s.must(s.Patch(s.Context(), p, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"commit":%q}}`, other))))
	s.becomes(p, schema.PreviewReady, metav1.ConditionFalse, agent.ReasonMoved)
	s.answers("cart-pr-44."+previewDomain, "/more", "", 200, "the shop")
	s.must(s.Delete(s.Context(), p))
	s.gone(p)
}

// collision: a host is that of the preview that had it first, and whose it is is said; when it is free it goes to who wanted it.
func (s *previewStory) collision() {
	host := "shop-b-pr-45." + previewDomain
	p := s.preview(45, s.commit("pr45", "main", "b.yaml", s.spec("shop-b", "b.story.example", "beta")), s.main, false)
	s.answers(host, "/", "", 200, "the beta")
	// The service shop of a preview b-pr-45 wants the same host.
	head := s.commit("b-pr-45", "main", "shop.yaml", s.spec("shop", "shop.story.example", "shop")+"  - path: /mine\n    to: beta\n")
	q := &schema.Preview{ObjectMeta: metav1.ObjectMeta{Namespace: storyNamespace, Name: "shop-b-pr-45", OwnerReferences: p.OwnerReferences},
		Spec: schema.PreviewSpec{Sync: "shop", Name: "b-pr-45", Number: 46, Commit: head, Base: s.main}}
	s.git("update-ref", "refs/pull/46/head", head)
	s.create(q)
	s.until("the second preview is planned", time.Minute, func(ctx context.Context) error {
		err := s.Get(ctx, client.ObjectKeyFromObject(q), q)
		if err == nil && len(q.Status.Refusals) == 0 {
			err = fmt.Errorf("its status is %+v", q.Status)
		}
		return err
	})
	if len(q.Status.Refusals) == 0 || !strings.Contains(strings.Join(q.Status.Refusals, "\n"), host+" is that of Preview "+storyNamespace+"/shop-pr-45") {
		s.Errorf("its status is %+v", q.Status)
	}
	s.must(s.Delete(s.Context(), p))
	s.gone(p)
	s.answers(host, "/mine", "", 200, "the beta")
	s.becomes(q, schema.PreviewReady, metav1.ConditionTrue, agent.ReasonApplied)
	s.must(s.Delete(s.Context(), q))
	s.gone(q)
}

// restart: what happened while there was no controller is made up for, and what was is left alone.
func (s *previewStory) restart() {
	kept, p := s.find(43), s.find(42)
	version := kept.ResourceVersion
	s.stop()
	head := s.commit("pr42", "pr42", "shop.yaml", s.spec("shop", "shop.story.example", "beta"))
	s.pushed(p, head)
	s.answers("web-pr-43."+previewDomain, "/", "", 200, "from a pod")
	step := s.T
	s.in(s.top)
	s.stop = s.startController()
	s.in(step)
	s.answers("shop-pr-42."+previewDomain, "/", "", 200, "the beta")
	s.becomes(p, schema.PreviewLive, metav1.ConditionTrue, agent.ReasonLive)
	s.answers("web-pr-43."+previewDomain, "/", "", 200, "from a pod")
	if now := s.find(43); now.ResourceVersion != version {
		s.Errorf("the restart changed a Preview: %+v", now)
	}
}

// end: a Preview that is deleted is gone from the Envoys at once, and with it its namespace.
func (s *previewStory) end() {
	for _, number := range []int64{42, 43} {
		p := s.find(number)
		host := map[int64]string{42: "shop-pr-42.", 43: "web-pr-43."}[number] + previewDomain
		start := time.Now()
		s.must(s.Delete(s.Context(), p))
		s.answers(host, "/", "", 404, "")
		s.Logf("Preview %d deleted → gone from Envoy: %s", number, time.Since(start).Round(time.Millisecond))
		s.gone(p)
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: agent.PreviewNamespace(storyNamespace, "shop", &p.Spec)}}
		s.gone(namespace)
		s.Logf("Preview %d deleted → nothing is left: %s", number, time.Since(start).Round(time.Millisecond))
		s.told(fmt.Sprintf("Preview pr-%d has ended", number))
	}
	s.answers("shop.story.example", "/", "pr-42", 200, "the shop")
	var routes gwv1.HTTPRouteList
	s.must(s.List(s.Context(), &routes, client.InNamespace(storyNamespace), client.HasLabels{"headgate.dev/preview"}))
	var inventory corev1.ConfigMapList
	s.must(s.List(s.Context(), &inventory, client.InNamespace(storyNamespace)))
	for _, m := range inventory.Items {
		if strings.HasPrefix(m.Name, "headgate-inventory.preview.") {
			s.Errorf("%s is left", m.Name)
		}
	}
	if len(routes.Items) != 0 {
		s.Errorf("%d routes are left", len(routes.Items))
	}
}

// noPreviews: a Sync that has no previews any more ends them.
func (s *previewStory) noPreviews() {
	head := s.commit("pr46", "main", "shop.yaml", s.spec("shop", "shop.story.example", "beta"))
	p := s.preview(46, head, s.main, false)
	s.answers("shop-pr-46."+previewDomain, "/", "", 200, "the beta")
	s.becomes(p, schema.PreviewReady, metav1.ConditionTrue, agent.ReasonApplied)
	s.must(s.Patch(s.Context(), s.sync, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"previews":null}}`))))
	s.answers("shop-pr-46."+previewDomain, "/", "", 404, "")
	err := s.Get(s.Context(), client.ObjectKeyFromObject(p), p)
	if err == nil {
		s.becomes(p, schema.PreviewReady, metav1.ConditionFalse, agent.ReasonEnded)
	} else if !apierrors.IsNotFound(err) {
		s.must(err)
	}
	s.must(client.IgnoreNotFound(s.Delete(s.Context(), p)))
	s.gone(p)
}

// noSync: the previews of a Sync that is deleted go with it.
func (s *previewStory) noSync() {
	s.must(s.Patch(s.Context(), s.sync, client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
		`{"spec":{"previews":{"pullRequests":{},"domain":%q,"serviceAccountName":"previews"}}}`, previewDomain))))
	p := s.preview(47, s.commit("pr47", "main", "shop.yaml", s.spec("shop", "shop.story.example", "beta")), s.main, false)
	s.answers("shop-pr-47."+previewDomain, "/", "", 200, "the beta")
	s.must(s.Delete(s.Context(), s.sync))
	s.answers("shop-pr-47."+previewDomain, "/", "", 404, "")
	s.answers("shop.story.example", "/", "", 404, "")
	s.gone(p)
	s.gone(s.sync)
}
