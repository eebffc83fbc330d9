//go:build cluster

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"headgate.dev/agent/controller"
	"headgate.dev/cmd/internal/lab"
	"headgate.dev/schema"
)

// world is a cluster with a namespace of the test's own, a repository that is served over HTTP, and an agent in this process.
type world struct {
	*testing.T
	client    client.Client
	namespace string
	repo      *lab.Repo
	url       string
}

func newWorld(t *testing.T, namespace string) *world {
	w := &world{T: t, namespace: namespace}
	rest, err := config.GetConfig()
	if err != nil {
		t.Fatalf("%v; run make test-cluster", err)
	}
	scheme, _, err := kinds()
	w.must(err)
	w.client, err = client.New(rest, client.Options{Scheme: scheme})
	w.must(err)
	w.tool("crds", "standard")
	for _, kind := range []string{"syncs", "previews"} {
		w.tool("kubectl", "apply", "--server-side", "--force-conflicts", "-f", "../../../deploy/crds/headgate.dev_"+kind+".yaml")
	}
	w.freshNamespace()
	w.serve()
	rest.QPS = -1
	noNameCheck := true
	m, err := manager.New(rest, manager.Options{
		Scheme: scheme, Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Controller: ctrlconfig.Controller{SkipNameValidation: &noNameCheck},
		Client:     client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}}},
	})
	w.must(err)
	_, err = controller.Add(m, controller.Options{Log: slog.New(slog.DiscardHandler), Cache: t.TempDir(), Only: []string{namespace}, NotifyLocal: true})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	t.Cleanup(sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent ended: %v", err)
		}
	}))
	t.Cleanup(w.end)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

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

// freshNamespace makes the namespace, and a service account that may do everything in it.
func (w *world) freshNamespace() {
	w.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	w.must(client.IgnoreNotFound(w.client.Delete(w.Context(), n.DeepCopy())))
	w.letGo()
	limit := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := w.client.Create(w.Context(), n.DeepCopy())
		if err == nil {
			break
		}
		if !apierrors.IsAlreadyExists(err) {
			w.Fatal(err)
		}
		select {
		case <-limit:
			w.Fatal(err)
		case <-tick.C:
		}
	}
	w.must(w.client.Create(w.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "deployer"}}))
	w.must(w.client.Create(w.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "deployer"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.namespace, Name: "deployer"}},
	}))
}

// letGo takes the finalizers from the Syncs of the namespace, which nobody follows any more.
func (w *world) letGo() {
	w.Helper()
	var list schema.SyncList
	w.must(w.client.List(w.Context(), &list, client.InNamespace(w.namespace)))
	for i := range list.Items {
		w.must(client.IgnoreNotFound(w.client.Patch(w.Context(), &list.Items[i], client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))))
	}
}

// end removes the Syncs while the agent is there to do it, and the namespace.
func (w *world) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := w.client.DeleteAllOf(ctx, &schema.Sync{}, client.InNamespace(w.namespace))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for list := (schema.SyncList{}); err == nil; <-tick.C {
		if err = w.client.List(ctx, &list, client.InNamespace(w.namespace)); err == nil && len(list.Items) == 0 {
			break
		}
	}
	w.must(errors.Join(err, w.client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})))
}

func (w *world) serve() {
	w.Helper()
	root := w.TempDir()
	var err error
	w.repo, err = lab.NewRepo(filepath.Join(root, "repo"))
	w.must(err)
	execPath, err := w.repo.Git("--exec-path")
	w.must(err)
	server := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(execPath, "git-http-backend"), Stderr: &bytes.Buffer{},
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	})
	w.Cleanup(server.Close)
	w.url = server.URL + "/repo/.git"
}

// commit commits files: pairs of name and content.
func (w *world) commit(message string, files ...string) string {
	w.Helper()
	for i := 0; i < len(files); i += 2 {
		w.must(w.repo.Write(files[i], files[i+1]))
	}
	hash, err := w.repo.Commit(message)
	w.must(err)
	return hash
}

// ok runs a command that is to work, and gives what it prints.
func (w *world) ok(line string) string {
	w.Helper()
	out, errs, err := run(w.T, append(strings.Fields(line), "-n", w.namespace)...)
	if err != nil {
		w.Fatalf("headgate %s: %v\n%s%s", line, err, out, errs)
	}
	for row := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(row, "\n")); n > 100 && !strings.Contains(line, "-o ") && !strings.Contains(row, "://") {
			w.Errorf("headgate %s: a line of %d characters: %s", line, n, row)
		}
	}
	return out
}

func (w *world) has(out string, patterns ...string) {
	w.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(out) {
			w.Errorf("expected %s in\n%s", p, out)
		}
	}
}

func configMap(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {host: " + value + "}\n"
}

const typo = "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: cart}\nspec:\n  hosts: [cart.example.com]\n  port: 80\n  hsts: true\n"

// TestClusterCommands has a repository followed by the commands alone: made, live, refused, rolled back, suspended and resumed.
func TestClusterCommands(t *testing.T) {
	w := newWorld(t, "headgate-commands")
	first := w.commit("Begin", "shop.yaml", configMap("shop", "shop.example.com"))
	create := "create sync shop --branch main --service-account deployer --interval 1h --url " + w.url
	w.has(w.ok(create+" --wait --timeout 1m"), "shop created", "fetch  main@"+first[:7]+` "Begin" by Ada`, "apply  main@"+first[:7], "live   ")
	w.has(w.ok(create), "shop unchanged")
	w.has(w.ok("status shop"), `Revision +main@`+first[:7]+` +"Begin" by Ada, `, "Live +yes", "Objects +1 owned", "every 1h")

	second := w.commit("Move the shop", "shop.yaml", configMap("shop", "store.example.com"))
	w.has(w.ok("sync shop --now --wait --timeout 1m"), "fetch  main@"+second[:7], "live   ")
	w.has(w.ok("sync shop --now --wait --timeout 1m"), "nothing new", "live   ")

	bad := w.commit("Typo", "cart.yaml", typo)
	out, _, err := run(t, "sync", "shop", "--now", "--wait", "--timeout", "1m", "-n", w.namespace)
	if !errors.Is(err, ErrNotLive) {
		t.Errorf("a refused commit: %v", err)
	}
	w.has(out, "fetch  main@"+bad[:7]+` "Typo" by Ada`, `RenderFailed: main@`+bad[:7]+`: cart.yaml:7:3: spec.hsts: `, "mend the files")
	w.has(w.ok("status shop"), "Revision +main@"+second[:7], "Tried +main@"+bad[:7]+` +"Typo" by Ada, refused`, `cart.yaml:7:3`, "Next +mend the files")
	w.has(w.ok("history shop"), `  main@`+bad[:7]+` .*Refused`, `\* main@`+second[:7]+` .*Applied +after .* "Move the shop" by Ada`, `  main@`+first[:7]+` .*Applied`)

	w.has(w.ok("rollback shop --wait --timeout 1m"), "pinned to "+first, "live   ")
	w.has(w.ok("status shop"), "Revision +"+first[:7]+" .* · pinned", "rollback shop -n "+w.namespace+" --undo")
	w.commit("Mend", "cart.yaml", "")
	w.ok("sync shop --now --wait --timeout 1m")
	w.has(w.ok("get syncs"), "NAME +REVISION +LIVE +READY +MESSAGE +AGE", "shop +"+first[:7]+" +True +True +pinned; ")
	w.has(w.ok("rollback shop --undo --wait --timeout 1m"), "follows its repository", `"Mend" by Ada`, "live   ")
	w.has(w.ok("rollback shop "+second[:8]+" --wait --timeout 1m"), "pinned to "+second, "live   ")
	w.ok("rollback shop --undo --wait --timeout 1m")

	w.has(w.ok("suspend shop"), "is suspended")
	if _, _, err := run(t, "sync", "shop", "--now", "-n", w.namespace); err == nil || !strings.Contains(err.Error(), "headgate resume shop -n "+w.namespace) {
		t.Errorf("a look at a suspended Sync: %v", err)
	}
	w.has(w.ok("resume shop --wait --timeout 1m"), "is resumed", "live   ")
}

// TestClusterGet holds what is printed for machines, and what is said of what is not there.
func TestClusterGet(t *testing.T) {
	w := newWorld(t, "headgate-commands-get")
	w.commit("Begin", "shop.yaml", configMap("shop", "shop.example.com"))
	for _, name := range []string{"till", "cart"} {
		w.ok("create sync " + name + " --suspend --url " + w.url)
	}
	var list struct {
		Kind  string
		Items []struct {
			APIVersion, Kind string
			Spec             struct{ Suspend bool }
		}
	}
	w.must(json.Unmarshal([]byte(w.ok("get syncs -o json")), &list))
	if list.Kind != "List" || len(list.Items) != 2 || list.Items[0].Kind != "Sync" || list.Items[0].APIVersion != "headgate.dev/v1alpha1" || !list.Items[0].Spec.Suspend {
		t.Errorf("as JSON: %+v", list)
	}
	w.has(w.ok("get sync/till -o yaml"), "(?m)^kind: Sync$", "(?m)^  suspend: true$")
	w.has(w.ok("status till -o json"), `"kind": "Sync"`)
	if out := w.ok("get -o name"); out != "sync.headgate.dev/cart\nsync.headgate.dev/till\n" {
		t.Errorf("names: %q", out)
	}
	w.has(w.ok("get sync cart -o wide"), "URL +SUSPENDED", "true")
	if out := w.ok("get syncs -l team=b"); out != "" {
		t.Errorf("nothing fits, and there is %q", out)
	}
	out, _, err := run(t, "__complete", "status", "-n", w.namespace, "t")
	w.must(err)
	w.has(out, "(?m)^till$")
	for line, want := range map[string]string{
		"status tlil":                 "did you mean till?",
		"get sync crt":                "did you mean cart?",
		"get preview x":               "there is no Preview x",
		"status till --context other": "no such context",
	} {
		_, _, err := run(t, append(strings.Fields(line), "-n", w.namespace)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; expected %q", line, err, want)
		}
	}
	_, _, err = run(t, "status", "till", "-n", "default")
	if err == nil || !strings.Contains(err.Error(), "there is one in "+w.namespace) {
		t.Errorf("in the wrong namespace: %v", err)
	}
	_, _, err = run(t, "create", "sync", "bad", "-n", w.namespace, "--url", "https://me:secret@git.example.com/x")
	var wrong *UsageError
	if !errors.As(err, &wrong) || strings.Contains(fmt.Sprint(err), "me:secret") {
		t.Errorf("credentials in the URL: %v", err)
	}
}

// TestClusterDiff says what the next look would change, and changes nothing.
func TestClusterDiff(t *testing.T) {
	w := newWorld(t, "headgate-commands-diff")
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {password: canary-"
	service := func(port string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {selector: {app: shop}, ports: [{port: " + port + "}]}\n"
	}
	route := func(path string) string {
		return "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n  gatewayClassName: headgate-commands-diff\n" +
			"  listeners: [{name: http, port: 80, protocol: HTTP}]\n---\n" +
			"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{name: g}]\n  hostnames: [shop.test]\n" +
			"  rules:\n  - backendRefs: [{name: shop, port: 80}]\n  - matches: [{path: {value: " + path + "}}]\n    backendRefs: [{name: cart, port: 80}]\n"
	}
	w.commit("Begin", "a.yaml", configMap("a", "one"), "b.yaml", configMap("b", "one"), "key.yaml", secret+"one}\n", "service.yaml", service("80"),
		"route.yaml", route("/cart"))
	w.ok("create sync shop --branch main --service-account deployer --interval 1h --url " + w.url)
	diff := func(local bool, more ...string) (string, error) {
		d := Diff{Flags: Flags{Namespace: w.namespace}, Output: "text"}
		cmd := &cobra.Command{Use: "diff", SilenceUsage: true, SilenceErrors: true}
		d.Add(cmd)
		if local {
			more = append(more, "--local", w.repo.Dir)
		}
		w.must(cmd.ParseFlags(append(more, "--exit-code")))
		var out bytes.Buffer
		err := d.Run(t.Context(), Program{Out: &out, Err: &out, Getenv: func(string) string { return "" }, Name: "headgate"}, "shop")
		if strings.Contains(out.String(), "canary") {
			t.Errorf("a secret is shown:\n%s", out.String())
		}
		return out.String(), err
	}
	for end := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) { // nobody serves the Gateway, so that it is never healthy
		out, err := diff(false)
		if err == nil && strings.Contains(out, "nothing would change; 6 objects are as wanted") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nothing is new: %v\n%s", err, out)
		}
	}
	w.must(w.repo.Write("a.yaml", configMap("a", "two")))
	w.must(w.repo.Write("b.yaml", ""))
	w.must(w.repo.Write("c.yaml", configMap("c", "two")))
	w.must(w.repo.Write("key.yaml", secret+"two}\n"))
	w.must(w.repo.Write("service.yaml", service("8080")))
	w.must(w.repo.Write("route.yaml", route("/basket")))
	if out, err := diff(false); err != nil {
		t.Errorf("what is saved is not pushed: %v\n%s", err, out)
	}
	for _, flag := range [][]string{nil, {"--as-account"}} {
		out, err := diff(true, flag...)
		if !errors.Is(err, ErrDiffers) {
			t.Errorf("%v: %v", flag, err)
		}
		w.has(out, "objects: 1 added, 4 changed, 1 removed, 1 as they are",
			`~ ConfigMap `+w.namespace+`/a  a.yaml:1:1\n +data.host  one → two  a.yaml:4:14\n`,
			`\+ ConfigMap `+w.namespace+`/c  c.yaml:1:1\n`, `- ConfigMap `+w.namespace+`/b\n`,
			`~ Secret `+w.namespace+`/key  key.yaml:1:1\n +data.password  \*+ → \*+ `,
			`\ntraffic\n +\+ shop.test /basket +– → cart:80 .*route.yaml:\d+`, `- shop.test /cart +cart:80 → –`,
			`~ Service `+w.namespace+`/shop  service.yaml:1:1\n +spec.ports\[0\].port +80 → 8080 `)
		if strings.Contains(out, "clusterIP") || strings.Contains(out, "sessionAffinity") || strings.Contains(out, "headgate.dev/applied") {
			t.Errorf("a default is no change:\n%s", out)
		}
	}
	w.must(w.repo.Write("service.yaml", service("80800")))
	out, err := diff(true)
	if !errors.Is(err, ErrNotLive) {
		t.Errorf("refused by the API server: %v", err)
	}
	w.has(out, `! refused: service.yaml:\d+:\d+: trying Service `+w.namespace+`/shop: `)
	var now corev1.ConfigMap
	w.must(w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "a"}, &now))
	if now.Data["host"] != "one" {
		t.Errorf("the comparison has written: %v", now.Data)
	}
}

// TestClusterReadme runs the commands of the README's blocks for a cluster, and applies the objects in them, on a repository and in a namespace of the test's own.
func TestClusterReadme(t *testing.T) {
	w := newWorld(t, "headgate-commands-readme")
	w.commit("Begin", "shop.yaml", configMap("shop", "shop.example.com"))
	text, err := os.ReadFile("../../../README.md")
	w.must(err)
	binary := filepath.Join(t.TempDir(), "headgate")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "headgate.dev/cmd/headgate")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building headgate: %v\n%s", err, out)
	}
	in, ran, applied := "", 0, 0
	var manifest strings.Builder
	here := strings.NewReplacer("https://git.example.com/team-a/shop", w.url, "team-a", w.namespace)
	for line := range strings.Lines(string(text)) {
		command, is := strings.CutPrefix(strings.TrimSpace(line), "bin/headgate ")
		switch {
		case strings.HasPrefix(line, "```"):
			if manifest.Len() > 0 {
				applied++
				file := filepath.Join(t.TempDir(), "objects.yaml")
				w.must(os.WriteFile(file, []byte(manifest.String()), 0o600))
				w.tool("kubectl", "apply", "--server-side", "-f", file)
				manifest.Reset()
			}
			in = strings.TrimSpace(line)
		case in == "```yaml cluster":
			manifest.WriteString(here.Replace(line))
		case in == "```sh cluster" && is:
			ran++
			command = here.Replace(command)
			if out, err := exec.CommandContext(t.Context(), binary, strings.Fields(command)...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	}
	if ran < 7 || applied < 1 {
		t.Errorf("only %d commands and %d objects were found", ran, applied)
	}
}
