//go:build cluster

package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

// world is a cluster, a namespace of the test's own with a service account that may do everything in it, and an agent in this process.
type world struct {
	*testing.T
	client.Client
	config    *rest.Config
	scheme    *runtime.Scheme
	namespace string
	log       *logText
	calls     atomic.Int64 // of the agent to the API server
	away      atomic.Bool  // the agent has no API server
	refused   atomic.Int64 // calls meanwhile
	agent     *Agent
	as        *rest.Config // whom start runs the agent as; nil: the administrator
	stop      func()
}

// logText is the log of an agent.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newWorld makes the namespace; the agent is started by start.
func newWorld(t *testing.T, namespace string) *world {
	w := &world{T: t, scheme: runtime.NewScheme(), namespace: namespace, log: &logText{}}
	w.must(errors.Join(clientgoscheme.AddToScheme(w.scheme), gwv1.Install(w.scheme), schema.AddToScheme(w.scheme)))
	cfg, err := config.GetConfig()
	if err != nil {
		t.Fatalf("%v; run make test-cluster", err)
	}
	cfg.QPS = -1
	w.config = cfg
	w.Client, err = client.New(cfg, client.Options{Scheme: w.scheme})
	w.must(err)
	w.tool("crds", "standard")
	w.tool("kubectl", "apply", "--server-side", "--force-conflicts", "-k", "../../deploy/crds") // an agent looks again for a kind that is missing
	w.until("Syncs and Previews are served", func(ctx context.Context) error {
		return errors.Join(w.List(ctx, &schema.SyncList{}), w.List(ctx, &schema.PreviewList{}))
	})
	w.freshNamespace(namespace)
	w.account(namespace, "deployer")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// tool runs the test cluster's program.
func (w *world) tool(args ...string) {
	w.Helper()
	binary := os.Getenv("HEADGATE_TESTCLUSTER")
	if binary == "" {
		w.Fatal("HEADGATE_TESTCLUSTER is not set; run make test-cluster")
	}
	if out, err := exec.CommandContext(w.Context(), binary, args...).CombinedOutput(); err != nil {
		w.Fatalf("testcluster %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// freshNamespace makes a namespace, and takes away the one of a test before.
func (w *world) freshNamespace(name string) {
	w.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	w.drop(w.Context(), n)
	w.until("namespace "+name+" goes", func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(n), n.DeepCopy()); !apierrors.IsNotFound(err) {
			return errors.Join(err, errors.New("it is still there"))
		}
		return nil
	})
	w.must(w.Create(w.Context(), n))
	w.Cleanup(func() { w.drop(context.Background(), n) })
}

// drop deletes a namespace with the Syncs in it, which no agent lets go any more.
func (w *world) drop(ctx context.Context, n *corev1.Namespace) {
	w.Helper()
	if err := client.IgnoreNotFound(w.Delete(ctx, n.DeepCopy())); err != nil {
		w.Error(err)
	}
	var list schema.SyncList
	if err := w.List(ctx, &list, client.InNamespace(n.Name)); err != nil {
		w.Error(err)
	}
	for _, s := range list.Items {
		free := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		if err := client.IgnoreNotFound(w.Patch(ctx, &s, free)); err != nil {
			w.Error(err)
		}
	}
}

// apply applies JSON or YAML as the administrator.
func (w *world) apply(text string) error { return w.applyAs("kubectl", text) }

// applyAs applies as a field manager, with force.
func (w *world) applyAs(manager, text string) error {
	cmd := exec.CommandContext(w.Context(), os.Getenv("HEADGATE_TESTCLUSTER"), "kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager="+manager, "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// account makes a service account that may do everything with namespaced objects in its namespace.
func (w *world) account(namespace, name string) {
	w.Helper()
	w.must(w.Create(w.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}))
	w.must(w.Create(w.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
	}))
}

// asInstalled has start run the agent with the rights that the installation gives the controller, and no others.
func (w *world) asInstalled() {
	w.Helper()
	text, err := os.ReadFile("../../deploy/rbac/clusterrole.yaml")
	w.must(err)
	name := w.namespace + "-controller"
	role := strings.Replace(string(text), "  name: headgate\n", "  name: "+name+"\n", 1)
	w.must(w.apply(role))
	w.freshNamespace(name) // it outlives the test's own
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "controller"}}
	w.must(w.Create(w.Context(), account))
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: name, Name: "controller"}}}
	w.must(client.IgnoreAlreadyExists(w.Create(w.Context(), binding)))
	w.Cleanup(func() {
		w.must(errors.Join(w.Delete(context.Background(), binding), w.Delete(context.Background(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}})))
	})
	token := &authenticationv1.TokenRequest{}
	w.must(w.SubResource("token").Create(w.Context(), account, token))
	w.as = rest.AnonymousClientConfig(w.config)
	w.as.QPS, w.as.BearerToken = -1, token.Status.Token
}

// counted counts requests.
type counted struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.RawQuery, "watch=true") && !strings.Contains(r.URL.Path, "/leases/") {
		c.n.Add(1)
	}
	return c.RoundTripper.RoundTrip(r)
}

// start runs an agent until the test or stop ends it.
func (w *world) start(o Options) {
	w.Helper()
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctrllog.SetLogger(logr.Discard())
	cfg := rest.CopyConfig(w.config)
	if w.as != nil {
		cfg = rest.CopyConfig(w.as)
	}
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return awayFor{counted{rt, &w.calls}, w} })
	m, err := manager.New(cfg, manager.Options{
		Scheme: w.scheme, Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}}},
	})
	w.must(err)
	o.Log, o.Cache = log, w.TempDir()
	if o.Only == nil {
		o.Only = []string{w.namespace}
	}
	w.agent, err = Add(m, o)
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("the agent ended: %v", err)
		}
	})
	w.Cleanup(w.stop)
}

// until waits for a condition that f finds met; its error says what is not as it should be.
func (w *world) until(what string, f func(context.Context) error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// repository is a work tree whose commits are served over HTTP.
type repository struct {
	w        *world
	dir, url string
	backend  http.Handler
	requests atomic.Int64
	answer   atomic.Pointer[http.HandlerFunc] // instead, unless it is nil
}

func (w *world) repository() *repository {
	w.Helper()
	root := w.TempDir()
	r := &repository{w: w, dir: filepath.Join(root, "repo")}
	execPath, err := exec.Command("git", "--exec-path").Output()
	w.must(err)
	w.must(os.MkdirAll(r.dir, 0o755))
	r.git("init", "-q", "-b", "main", ".")
	r.git("config", "user.name", "Ada")
	r.git("config", "user.email", "ada@example.com")
	r.git("config", "receive.denyCurrentBranch", "ignore")
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"), Stderr: &logText{},
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}
	r.backend = backend
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, q *http.Request) {
		r.requests.Add(1)
		if f := r.answer.Load(); f != nil {
			(*f)(out, q)
			return
		}
		backend.ServeHTTP(out, q)
	}))
	w.Cleanup(server.Close)
	r.url = server.URL + "/repo/.git"
	return r
}

func (r *repository) git(args ...string) string {
	r.w.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.w.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files (pairs of name and content; no content removes it) and commits everything.
func (r *repository) commit(message string, files ...string) (hash string) {
	r.w.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(r.dir, files[i])
		r.w.must(os.MkdirAll(filepath.Dir(path), 0o755))
		if files[i+1] == "" {
			r.w.must(os.RemoveAll(path))
			continue
		}
		r.w.must(os.WriteFile(path, []byte(files[i+1]), 0o600))
	}
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

// sync makes a Sync of the repository, with what change says besides.
func (r *repository) sync(name string, change func(*schema.SyncSpec)) *schema.Sync {
	r.w.Helper()
	s := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: r.w.namespace, Name: name}}
	s.Spec = schema.SyncSpec{URL: r.url, Interval: "1s", ServiceAccountName: "deployer", Gateway: "edge/public"}
	wait := false
	s.Spec.Wait = &wait
	if change != nil {
		change(&s.Spec)
	}
	r.w.must(r.w.Create(r.w.Context(), s))
	return s
}

// condition waits until a condition of a Sync is as wanted, for a revision that ends in hash where that is not empty.
func (w *world) condition(s *schema.Sync, kind string, status metav1.ConditionStatus, reason, hash string) *schema.Sync {
	w.Helper()
	now := &schema.Sync{}
	w.until(fmt.Sprintf("Sync %s is %s=%s (%s)", s.Name, kind, status, reason), func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(s), now); err != nil {
			return err
		}
		c := meta.FindStatusCondition(now.Status.Conditions, kind)
		if c == nil || c.Status != status || reason != "" && c.Reason != reason || c.ObservedGeneration != now.Generation ||
			!strings.HasSuffix(now.Status.AttemptedRevision, hash) {
			return fmt.Errorf("it is %+v", now.Status)
		}
		return nil
	})
	return now
}

func (w *world) ready(s *schema.Sync, hash string) *schema.Sync {
	w.Helper()
	return w.condition(s, schema.SyncReady, metav1.ConditionTrue, "", hash)
}

func spec(name, host string) string {
	return "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: " + name + "}\nspec:\n  hosts: [" + host + "]\n  port: 8080\n"
}

func (w *world) route(name string) (*gwv1.HTTPRoute, error) {
	var r gwv1.HTTPRoute
	err := w.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, &r)
	return &r, err
}

// TestClusterSync follows a repository: a Sync creates routes, commits change and remove them, and nothing new costs nothing.
func TestClusterSync(t *testing.T) {
	w := newWorld(t, "headgate-sync-test")
	repo := w.repository()
	first := repo.commit("Begin", "shop.yaml", spec("shop", "shop.example.com"), "cart.yaml", spec("cart", "cart.example.com"))
	w.start(Options{})
	s := repo.sync("shop", nil)
	now := w.ready(s, first)
	if now.Status.Revision != "main@sha1:"+first || now.Status.Inventory.Objects != 2 {
		t.Errorf("after the first commit: %+v", now.Status)
	}
	route, err := w.route("shop")
	w.must(err)
	if route.Spec.Hostnames[0] != "shop.example.com" {
		t.Errorf("the route: %+v", route.Spec)
	}
	cart, err := w.route("cart")
	w.must(err)

	second := repo.commit("Move the shop", "shop.yaml", spec("shop", "store.example.com"))
	now = w.ready(s, second)
	route, err = w.route("shop")
	w.must(err)
	if route.Spec.Hostnames[0] != "store.example.com" {
		t.Errorf("the route after the second commit: %+v", route.Spec)
	}
	if same, err := w.route("cart"); err != nil || same.ResourceVersion != cart.ResourceVersion {
		t.Errorf("a route that did not change was written: %v", err)
	}
	if h := now.Status.History; len(h) != 2 || h[0].Subject != "Move the shop" || h[0].Author != "Ada" || h[0].Result != schema.ResultApplied {
		t.Errorf("the history: %+v", h)
	}

	third := repo.commit("Close the cart", "cart.yaml", "")
	w.ready(s, third)
	if _, err := w.route("cart"); !apierrors.IsNotFound(err) {
		t.Errorf("a route that Git does not have: %v", err)
	}

	// Nothing is new: the repository is asked, and the API server is not.
	w.quiet(repo, 3)
}

// quiet fails when looks at the repository that find nothing new cost calls to the API server.
func (w *world) quiet(repo *repository, looks int64) {
	w.Helper()
	before := repo.requests.Load()
	w.until("a first look", func(context.Context) error { return lessThan(before+1, repo.requests.Load()) })
	calls, before := w.calls.Load(), repo.requests.Load()
	w.until("some more looks", func(context.Context) error { return lessThan(before+looks, repo.requests.Load()) })
	if n := w.calls.Load() - calls; n != 0 {
		w.Errorf("%d looks that found nothing new cost %d calls to the API server", looks, n)
	}
	if n := repo.requests.Load() - before; n > looks+1 {
		w.Errorf("they took %d requests to the repository", n)
	}
}

func lessThan(want, have int64) error {
	if have < want {
		return fmt.Errorf("%d, not %d", have, want)
	}
	return nil
}
