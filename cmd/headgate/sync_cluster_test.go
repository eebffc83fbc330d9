//go:build cluster

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

const (
	syncNamespace  = "headgate-sync-live"
	syncController = "headgate.dev/sync-live-test"
	syncImage      = "headgate.dev/headgate:dev"
)

// lockedBuffer is the log of a controller.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// clusterTool runs the test cluster's program.
func clusterTool(t *testing.T, args ...string) {
	t.Helper()
	binary := os.Getenv("HEADGATE_TESTCLUSTER")
	if binary == "" {
		t.Fatal("HEADGATE_TESTCLUSTER is not set; run make test-cluster")
	}
	if out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput(); err != nil {
		t.Fatalf("testcluster %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// becomes waits until f finds nothing wrong.
func becomes(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// TestClusterSyncLive follows a commit through both halves: from the repository to the answer of an Envoy in the cluster, and the status says how
// many Envoys have it and after how long.
func TestClusterSyncLive(t *testing.T) {
	c, host := syncWorld(t)
	repo := newRepo(t, map[string]string{"gateway.yaml": syncGateway, "shop.yaml": spec("shop", "shop.test", "  - redirect: {path: /one}\n")})
	url, _ := serveGit(t, filepath.Dir(repo.Dir), "127.0.0.1:0")
	startSyncController(t, host, syncNamespace)
	s := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: syncNamespace, Name: "shop"}}
	s.Spec = schema.SyncSpec{URL: url + "/repo/.git", Interval: "1s", ServiceAccountName: "deployer"}
	must(t, c.Create(t.Context(), s))
	live := func(hash string) *schema.SyncStatus {
		t.Helper()
		becomes(t, "the commit is live", func(ctx context.Context) error {
			if err := c.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
				return err
			}
			if l := s.Status.Live; l == nil || !strings.HasSuffix(l.Revision, hash) || !meta.IsStatusConditionTrue(s.Status.Conditions, schema.SyncLive) {
				return fmt.Errorf("it is %+v", s.Status)
			}
			return nil
		})
		return &s.Status
	}
	first, err := repo.Git("rev-parse", "HEAD")
	must(t, err)
	live(first)
	address := ""
	becomes(t, "the Gateway has an address", func(ctx context.Context) error {
		var g gwv1.Gateway
		if err := c.Get(ctx, client.ObjectKey{Namespace: syncNamespace, Name: "public"}, &g); err != nil || len(g.Status.Addresses) == 0 {
			return errors.Join(err, errors.New("it has none"))
		}
		address = g.Status.Addresses[0].Value
		return nil
	})
	answers := func(path string) {
		t.Helper()
		becomes(t, "Envoy answers", func(ctx context.Context) error { return redirects(ctx, address, path) })
	}
	answers("/one")

	must(t, repo.Write("shop.yaml", spec("shop", "shop.test", "  - redirect: {path: /two}\n")))
	second, err := repo.Commit("Redirect to two")
	must(t, err)
	status := live(second)
	must(t, redirects(t.Context(), address, "/two"))
	if g := status.Live.Gateways; len(g) != 1 || g[0].Name != "public" || g[0].Acked != 1 || g[0].Total != 1 {
		t.Errorf("the Gateways: %+v", g)
	}
	if status.Live.Took == "" || status.Live.Stages == nil || status.Live.Stages.Fetch == "" {
		t.Errorf("the times: %+v", status.Live)
	}
	t.Logf("live after %s: %+v", status.Live.Took, status.Live.Stages)

	// What is removed is live once no Envoy has it.
	must(t, repo.Write("shop.yaml", spec("shop", "other.test", "")))
	third, err := repo.Commit("Move away")
	must(t, err)
	live(third)
	if err := redirects(t.Context(), address, "/two"); err == nil {
		t.Error("the route that was removed still answers")
	}

	// What no Envoy has is live when all is healthy.
	must(t, repo.Write("shop.yaml", spec("shop", "other.test", "  - redirect: {path: /one}\n")))
	third, err = repo.Commit("Answer without a Service")
	must(t, err)
	live(third)
	must(t, repo.Write("settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n"))
	fourth, err := repo.Commit("Add settings")
	must(t, err)
	live(fourth)
	must(t, c.Delete(t.Context(), s))
	becomes(t, "the Sync goes, and what it owned", func(ctx context.Context) error {
		for _, o := range []client.Object{s, &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: syncNamespace, Name: "public"}}} {
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); !apierrors.IsNotFound(err) {
				return errors.Join(err, errors.New("it is still there"))
			}
		}
		return nil
	})
}

// startSyncController runs a controller for the Syncs of namespaces until the test ends.
func startSyncController(t *testing.T, host string, namespaces ...string) {
	t.Helper()
	log := &lockedBuffer{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, streams{out: log, err: log, getenv: os.Getenv}, []string{"controller", "--controller-name", syncController,
			"--namespace", syncNamespace, "--image", syncImage, "--host", host, "--xds-address", ":18200", "--exchange-address", ":18201",
			"--health-address", "0", "--metrics-address", "127.0.0.1:18203", "--log-format", "text", "--git-cache", t.TempDir(),
			"--sync-namespace", strings.Join(namespaces, ",")})
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 || t.Failed() {
			t.Errorf("the controller ended with %d:\n%s", code, log)
		}
	})
}

// redirects tells whether the Gateway sends a visitor to a path.
func redirects(ctx context.Context, address, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err
	}
	request.Host = "shop.test"
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if to := response.Header.Get("Location"); !strings.HasSuffix(to, path) {
		return fmt.Errorf("status %d, location %q", response.StatusCode, to)
	}
	return nil
}

const syncGateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, annotations: {headgate.dev/default-for: "*"}}
spec:
  gatewayClassName: headgate-sync-live
  listeners: [{name: http, port: 80, protocol: HTTP}]
`

// syncWorld prepares the cluster: the definitions, a class, an account. It gives the address at which pods reach this machine.
func syncWorld(t *testing.T) (client.Client, string) {
	t.Helper()
	scheme := runtime.NewScheme()
	must(t, errors.Join(clientgoscheme.AddToScheme(scheme), gwv1.Install(scheme), schema.AddToScheme(scheme)))
	cfg, err := config.GetConfig()
	if err != nil {
		t.Fatalf("%v; run make test-cluster", err)
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	must(t, err)
	clusterTool(t, "crds", "standard")
	clusterTool(t, "kubectl", "apply", "--server-side", "--force-conflicts", "-k", "../../deploy/crds")
	clusterTool(t, "load-image", "../../bin/headgate-image.tar")
	becomes(t, "Syncs are served", func(ctx context.Context) error { return c.List(ctx, &schema.SyncList{}) })
	class := &gwv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: syncNamespace}}
	drop := func(ctx context.Context) { must(t, client.IgnoreNotFound(c.Delete(ctx, class.DeepCopy()))) }
	drop(t.Context())
	t.Cleanup(func() { drop(context.Background()) })
	syncTeam(t, c, syncNamespace)
	one, kind := int32(1), gwv1.Namespace(syncNamespace)
	class.Spec.ControllerName = syncController
	class.Spec.ParametersRef = &gwv1.ParametersReference{Group: schema.Group, Kind: schema.KindProxyConfig, Name: "small", Namespace: &kind}
	for _, o := range []client.Object{class.DeepCopy(),
		&schema.ProxyConfig{ObjectMeta: metav1.ObjectMeta{Namespace: syncNamespace, Name: "small"}, Spec: schema.ProxyConfigSpec{
			Replicas: &one, Concurrency: &one, Drain: &schema.ProxyDrain{Delay: "0s", Timeout: "1s"}}},
	} {
		must(t, c.Create(t.Context(), o))
	}
	api, err := url.Parse(cfg.Host)
	must(t, err)
	conn, err := net.Dial("udp", api.Host)
	must(t, err)
	defer conn.Close()
	return c, conn.LocalAddr().(*net.UDPAddr).IP.String()
}

// syncTeam makes a namespace anew, with an account that may do everything in it.
func syncTeam(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	drop := func(ctx context.Context) {
		must(t, client.IgnoreNotFound(c.Delete(ctx, n.DeepCopy())))
		var list schema.SyncList
		must(t, c.List(ctx, &list, client.InNamespace(namespace)))
		for i := range list.Items { // nobody sees to their finalizers any more
			free := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
			must(t, client.IgnoreNotFound(c.Patch(ctx, &list.Items[i], free)))
		}
	}
	drop(t.Context())
	becomes(t, "the namespace goes", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(n), n.DeepCopy()); !apierrors.IsNotFound(err) {
			return errors.Join(err, errors.New("it is still there"))
		}
		return nil
	})
	t.Cleanup(func() { drop(context.Background()) })
	named := metav1.ObjectMeta{Namespace: namespace, Name: "deployer"}
	for _, o := range []client.Object{n, &corev1.ServiceAccount{ObjectMeta: named},
		&rbacv1.RoleBinding{ObjectMeta: named, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "deployer"}}},
	} {
		must(t, c.Create(t.Context(), o))
	}
}
