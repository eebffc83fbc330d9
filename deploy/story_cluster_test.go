//go:build cluster

package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

const (
	storyNamespace  = "headgate-story-test"
	storySystem     = "headgate-story-system"
	storyController = "headgate.dev/story-test"
	storyRepository = "root1/shop"
)

// story is a Git host, a controller on this machine, and a cluster with a Gateway of that controller.
type story struct {
	*world
	gitea struct{ URL, SSH, User, Token string }
	hooks string // the address of the webhook server
	dir   string // a clone
}

// TestClusterStory: whoever merges a pull request has deployed it. A real Git host tells the controller of the merge, the fleet serves it, and the host
// shows at the merge commit on how many Envoys it is live.
func TestClusterStory(t *testing.T) {
	s := &story{world: newWorld(t), dir: filepath.Join(t.TempDir(), "clone")}
	s.tool("crds", "standard")
	s.tool("load-image", "../bin/headgate-image.tar")
	s.tool("kubectl", "apply", "--server-side", "--force-conflicts", "-k", "crds")
	s.freshNamespaces()
	s.startGitea()
	s.startController()
	s.tool("load-postgres", postgresImage)
	s.toolWith(strings.ReplaceAll(postgresServer, "namespace: default", "namespace: "+storyNamespace), "kubectl", "apply", "-f", "-")
	s.createGateway()
	s.createRepository()
	sync := s.createSync()
	s.connectHook(sync)
	t.Run("merge", func(t *testing.T) { s.in(t); s.merge(sync) })
	t.Run("database", func(t *testing.T) { s.in(t); s.database(sync) })
	t.Run("refused by an Envoy", func(t *testing.T) { s.in(t); s.refusedByEnvoy(sync) })
	t.Run("refused", func(t *testing.T) { s.in(t); s.refused(sync) })
	t.Run("ssh", func(t *testing.T) { s.in(t); s.overSSH() })
}

func (s *story) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// freshNamespaces makes both namespaces anew. A Sync of an earlier run has nobody who would see to its finalizer.
func (s *story) freshNamespaces() {
	// The controller that other tests have installed would follow the Syncs of the story too.
	s.tool("kubectl", "delete", "deployment", "headgate", "--namespace=headgate-system", "--ignore-not-found", "--cascade=foreground", "--timeout=60s")
	installed = false
	var old schema.SyncList
	s.must(s.List(s.Context(), &old, client.InNamespace(storyNamespace)))
	for i := range old.Items {
		old.Items[i].Finalizers = nil
		s.must(s.Update(s.Context(), &old.Items[i]))
	}
	for _, name := range []string{storyNamespace, storySystem} {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		s.must(client.IgnoreNotFound(s.Delete(s.Context(), n.DeepCopy())))
		s.gone(n.DeepCopy())
		s.create(n)
		s.Cleanup(func() { _ = s.Delete(context.Background(), n) })
	}
	account := metav1.ObjectMeta{Namespace: storyNamespace, Name: "deployer"}
	s.create(&corev1.ServiceAccount{ObjectMeta: account}, &rbacv1.RoleBinding{ObjectMeta: account,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: storyNamespace, Name: "deployer"}}})
}

func (s *story) startGitea() {
	program := os.Getenv("HEADGATE_TESTGITEA")
	if program == "" {
		s.Fatal("HEADGATE_TESTGITEA names no program; run make test-cluster")
	}
	dir := filepath.Join(s.TempDir(), "gitea")
	s.Cleanup(func() {
		if out, err := exec.Command(program, "down", dir).CombinedOutput(); err != nil {
			s.Errorf("stopping Gitea: %v: %s", err, out)
		}
	})
	cmd := exec.CommandContext(s.Context(), program, "up", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	s.must(err)
	s.must(json.Unmarshal(out, &s.gitea))
}

// ports finds free ports of all addresses.
func (s *story) ports(n int) []string {
	var out []string
	for range n {
		l, err := net.Listen("tcp", ":0")
		s.must(err)
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		s.must(err)
		out = append(out, port)
	}
	return out
}

// storyLog is what the controller logs.
type storyLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *storyLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// startController runs a controller of this checkout here, for a class of its own and the Syncs of one namespace, until the test or stop ends it.
func (s *story) startController() (stop func()) {
	kubeconfig, err := exec.CommandContext(s.Context(), os.Getenv("HEADGATE_TESTCLUSTER"), "kubeconfig").Output()
	s.must(err)
	p := s.ports(5)
	s.hooks = "127.0.0.1:" + p[4]
	health := "127.0.0.1:" + p[2]
	cmd := exec.Command("../bin/image/headgate", "controller", "--controller-name", storyController, "--namespace", storySystem, "--image", clusterImage,
		"--host", s.host, "--xds-address", ":"+p[0], "--exchange-address", ":"+p[1], "--health-address", health, "--metrics-address", "127.0.0.1:"+p[3],
		"--sync-namespace", storyNamespace, "--git-cache", s.TempDir(), "--webhook-address", s.hooks, "--log-format", "text", "--log-level", "debug")
	log := &storyLog{}
	cmd.Env, cmd.Stderr = append(os.Environ(), "KUBECONFIG="+strings.TrimSpace(string(kubeconfig))), log
	s.must(cmd.Start())
	t := s.T
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the controller ended with: %v", err)
		}
		if strings.Contains(log.text.String(), "canary") {
			t.Error("a secret is in the log")
		}
		if t.Failed() {
			t.Log(log.text.String())
		}
	})
	t.Cleanup(stop)
	s.until("the controller is ready", time.Minute, func(ctx context.Context) error {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+health+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := visitor.Do(q)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
	return stop
}

func (s *story) createGateway() {
	one := int32(1)
	own := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: storyNamespace, Name: name} }
	class := &gwv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: storyNamespace}}
	s.must(client.IgnoreNotFound(s.Delete(s.Context(), class.DeepCopy())))
	s.gone(class.DeepCopy())
	class.Spec.ControllerName = storyController
	s.create(class, &schema.ProxyConfig{ObjectMeta: own("small"), Spec: schema.ProxyConfigSpec{
		Replicas: &one, Concurrency: &one, Drain: &schema.ProxyDrain{Delay: "1s", Timeout: "5s"},
	}})
	s.Cleanup(func() { _ = s.Delete(context.Background(), class) })
	g := &gwv1.Gateway{ObjectMeta: own("public")}
	g.Spec.GatewayClassName = gwv1.ObjectName(class.Name)
	g.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}, {Name: "tcp-5432", Port: 5432, Protocol: gwv1.TCPProtocolType}}
	g.Spec.Infrastructure = &gwv1.GatewayInfrastructure{ParametersRef: &gwv1.LocalParametersReference{Group: schema.Group, Kind: schema.KindProxyConfig, Name: "small"}}
	s.create(g)
	s.until("the Gateway is programmed", 2*time.Minute, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(g.Status.Conditions, string(gwv1.GatewayConditionProgrammed)) || len(g.Status.Addresses) == 0 {
			return fmt.Errorf("its status is %+v", g.Status)
		}
		s.address = g.Status.Addresses[0].Value
		return nil
	})
	service, endpoints := service("shop", s.host, s.backend(s.T, "the shop"))
	service.Namespace, endpoints.Namespace = storyNamespace, storyNamespace
	s.create(service, endpoints)
}

// api asks Gitea, and wants a good answer.
func (s *story) api(method, path string, body, out any) {
	s.Helper()
	text, err := json.Marshal(body)
	s.must(err)
	q, err := http.NewRequestWithContext(s.Context(), method, s.gitea.URL+"/api/v1"+path, bytes.NewReader(text))
	s.must(err)
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Authorization", "Bearer "+s.gitea.Token)
	res, err := visitor.Do(q)
	s.must(err)
	defer res.Body.Close()
	text, err = io.ReadAll(res.Body)
	s.must(err)
	if res.StatusCode > 299 {
		s.Fatalf("%s %s: %s: %s", method, path, res.Status, text)
	}
	if out != nil {
		s.must(json.Unmarshal(text, out))
	}
}

type values = map[string]any

func (s *story) git(args ...string) string {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), "git", args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("git %s: %v: %s", args[0], err, bytes.ReplaceAll(out, []byte(s.gitea.Token), []byte("***")))
	}
	return strings.TrimSpace(string(out))
}

// createRepository makes a private repository with a first commit, over HTTP.
func (s *story) createRepository() {
	s.api("POST", "/user/repos", values{"name": "shop", "private": true, "default_branch": "main"}, nil)
	s.must(os.MkdirAll(s.dir, 0o755))
	s.git("init", "-q", "-b", "main", ".")
	s.git("config", "user.name", "Ada")
	s.git("config", "user.email", "ada@example.com")
	s.git("remote", "add", "origin", strings.Replace(s.gitea.URL, "://", "://root1:"+s.gitea.Token+"@", 1)+"/"+storyRepository+".git")
	s.propose("main", "Begin", "config/settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: hello}\n")
}

// propose commits a file to a branch made from where the clone is, pushes it, and gives the commit.
func (s *story) propose(branch, subject, file, content string) string {
	s.Helper()
	s.git("checkout", "-q", "-B", branch)
	path := filepath.Join(s.dir, file)
	s.must(os.MkdirAll(filepath.Dir(path), 0o755))
	s.must(os.WriteFile(path, []byte(content), 0o600))
	s.git("add", "-A")
	s.git("commit", "-q", "-m", subject)
	s.git("push", "-q", "origin", branch)
	return s.git("rev-parse", "HEAD")
}

// createSync follows the repository over HTTP, and looks at it by itself once an hour only.
func (s *story) createSync() *schema.Sync {
	own := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: storyNamespace, Name: name} }
	s.create(&corev1.Secret{ObjectMeta: own("shop-git"), StringData: map[string]string{"username": s.gitea.User, "password": s.gitea.Token}},
		&corev1.Secret{ObjectMeta: own("shop-hook"), StringData: map[string]string{"token": "canary-hook-0123456789"}})
	sync := &schema.Sync{ObjectMeta: own("shop"), Spec: schema.SyncSpec{
		URL: s.gitea.URL + "/" + storyRepository + ".git", Ref: &schema.SyncRef{Branch: "main"}, Interval: "1h", Gateway: storyNamespace + "/public",
		SecretRef: &schema.SyncSecret{Name: "shop-git"}, ServiceAccountName: "deployer",
		Forge: &schema.SyncForge{Kind: "gitea", HookSecretRef: &schema.SyncSecret{Name: "shop-hook"}},
	}}
	s.create(sync)
	t := s.T
	t.Cleanup(func() { // while there is a controller that sees to its finalizer
		for s.Delete(context.Background(), sync) == nil {
			<-time.After(20 * time.Millisecond)
		}
	})
	return sync
}

// connectHook sets the webhook up at the host, as a person would, and waits until the first commit is applied.
func (s *story) connectHook(sync *schema.Sync) {
	s.until("the Sync says where webhooks go", time.Minute, func(ctx context.Context) error {
		err := s.Get(ctx, client.ObjectKeyFromObject(sync), sync)
		if err == nil && (sync.Status.Forge == nil || sync.Status.Forge.HookPath == "") {
			err = fmt.Errorf("its status is %+v", sync.Status)
		}
		return err
	})
	s.api("POST", "/repos/"+storyRepository+"/hooks", values{"type": "gitea", "active": true, "events": []string{"push"},
		"config": values{"url": "http://" + s.hooks + sync.Status.Forge.HookPath, "content_type": "json", "secret": "canary-hook-0123456789"}}, nil)
	s.until("the first commit is applied", time.Minute, func(ctx context.Context) error {
		err := s.Get(ctx, client.ObjectKeyFromObject(sync), sync)
		if err == nil && !meta.IsStatusConditionTrue(sync.Status.Conditions, schema.SyncReady) {
			err = fmt.Errorf("its status is %+v", sync.Status)
		}
		return err
	})
}

// live waits until a commit is live, and gives the status.
func (s *story) live(sync *schema.Sync, commit string) *schema.SyncStatus {
	s.Helper()
	s.until(commit[:7]+" is live", time.Minute, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(sync), sync); err != nil {
			return err
		}
		if sync.Status.Live == nil || !strings.HasSuffix(sync.Status.Live.Revision, commit) {
			return fmt.Errorf("its status is %+v", sync.Status)
		}
		return nil
	})
	return &sync.Status
}

// knows waits until Gitea has taken in a branch that was pushed.
func (s *story) knows(branch string) {
	s.Helper()
	s.until("the host knows the branch "+branch, 30*time.Second, func(context.Context) error {
		var branches []struct{ Name string }
		s.api("GET", "/repos/"+storyRepository+"/branches?limit=50", nil, &branches)
		if !slices.ContainsFunc(branches, func(b struct{ Name string }) bool { return b.Name == branch }) {
			return fmt.Errorf("it knows %v", branches)
		}
		return nil
	})
}

// pullRequest opens a pull request for a branch and merges it; it gives the merge commit.
func (s *story) pullRequest(branch string) string {
	var pr struct {
		Number int    `json:"number"`
		Commit string `json:"merge_commit_sha"`
	}
	s.knows(branch)
	s.api("POST", "/repos/"+storyRepository+"/pulls", values{"title": "Offer " + branch, "head": branch, "base": "main"}, &pr)
	path := fmt.Sprintf("/repos/%s/pulls/%d", storyRepository, pr.Number)
	s.until("the pull request can be merged", 30*time.Second, func(context.Context) error {
		var now struct {
			Mergeable bool `json:"mergeable"`
		}
		if s.api("GET", path, nil, &now); !now.Mergeable {
			return errors.New("not yet")
		}
		return nil
	})
	s.api("POST", path+"/merge", values{"Do": "merge"}, nil)
	s.api("GET", path, nil, &pr)
	return pr.Commit
}

// told waits until the host shows a commit status in a state, and gives its text.
func (s *story) told(commit, state string) (text string) {
	s.Helper()
	s.until("the commit status", time.Minute, func(context.Context) error {
		var all []struct{ Context, Status, Description string }
		s.api("GET", "/repos/"+storyRepository+"/commits/"+commit+"/statuses?sort=recentupdate", nil, &all)
		for _, one := range all {
			if one.Context == "headgate/"+storyNamespace+"/shop" && one.Status == state {
				text = one.Description
				return nil
			}
		}
		return fmt.Errorf("there are %+v", all)
	})
	return text
}

// merge is the story: a spec, a pull request, a merge, an answer.
func (s *story) merge(sync *schema.Sync) {
	if code, _, err := s.ask(s.Context(), "shop.story.example"); err != nil || code != http.StatusNotFound {
		s.Errorf("before: %d, %v", code, err)
	}
	s.propose("offer", "Offer the shop", "shop.yaml", "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec:\n  hosts: [shop.story.example]\n  port: 80\n")
	start := time.Now()
	commit := s.pullRequest("offer")
	s.until("the shop answers", time.Minute, func(ctx context.Context) error {
		code, body, err := s.ask(ctx, "shop.story.example")
		if err == nil && (code != http.StatusOK || body != "the shop") {
			err = fmt.Errorf("%d %q", code, body)
		}
		return err
	})
	answered := time.Since(start)
	status := s.live(sync, commit)
	text := s.told(commit, "success")
	if !strings.HasPrefix(text, "live on 1 of 1 Envoy in ") {
		s.Errorf("the host shows %q", text)
	}
	if h := status.History[0]; !strings.HasSuffix(h.Revision, commit) || h.Result != schema.ResultApplied || h.LiveTime == nil {
		s.Errorf("the history begins with %+v", h)
	}
	s.Logf("from the pull request to an answer: %s; the host shows: %s; stages %+v", answered.Round(time.Millisecond), text, *status.Live.Stages)
}

// database: a merged spec with a TCP route is a database that answers.
func (s *story) database(sync *schema.Sync) {
	s.git("fetch", "-q", "origin", "main")
	s.git("reset", "-q", "--hard", "origin/main")
	s.propose("database", "Offer the database", "database.yaml", "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: database}\nspec:\n"+
		"  tcp:\n  - {port: 5432, to: my-postgres-postgresql:5432}\n")
	if err := s.psql(nil, io.Discard, "select 1"); err == nil {
		s.Error("psql logs in before there is a route")
	}
	start := time.Now()
	commit := s.pullRequest("database")
	s.until("PostgreSQL answers", 2*time.Minute, func(context.Context) error { return s.psql(nil, io.Discard, "select 1") })
	answered := time.Since(start)
	if got := s.query("select 6*7, current_user"); got != "42|postgres" {
		s.Errorf("a query gives %q", got)
	}
	s.live(sync, commit)
	if text := s.told(commit, "success"); !strings.HasPrefix(text, "live on 1 of 1 Envoy in ") {
		s.Errorf("the host shows %q", text)
	}
	s.Logf("from the pull request to an answer of psql: %s", answered.Round(time.Millisecond))
}

// refused: a commit that is wrong leaves what is served as it is, and the host shows file, line and column.
func (s *story) refused(sync *schema.Sync) {
	s.git("fetch", "-q", "origin", "main")
	s.git("reset", "-q", "--hard", "origin/main")
	commit := s.propose("main", "Raise the timeout", "shop.yaml", "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec:\n  hosts: [shop.story.example]\n  port: 80\n  timeout: soon\n")
	if text := s.told(commit, "failure"); !strings.HasPrefix(text, "shop.yaml:7:3: spec.timeout") {
		s.Errorf("the host shows %q", text)
	}
	if code, body, err := s.ask(s.Context(), "shop.story.example"); err != nil || code != http.StatusOK || body != "the shop" {
		s.Errorf("afterwards: %d %q, %v", code, body, err)
	}
	if err := s.Get(s.Context(), client.ObjectKeyFromObject(sync), sync); err != nil || strings.HasSuffix(sync.Status.Revision, commit) {
		s.Errorf("%s is applied, %v", sync.Status.Revision, err)
	}
}

// overSSH follows the same repository with a deploy key.
func (s *story) overSSH() {
	dir := s.TempDir()
	key := filepath.Join(dir, "key")
	s.dir = dir
	if out, err := exec.CommandContext(s.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		s.Fatalf("making a key: %v: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	s.must(err)
	private, err := os.ReadFile(key)
	s.must(err)
	s.api("POST", "/repos/"+storyRepository+"/keys", values{"title": "headgate", "key": string(public), "read_only": true}, nil)
	host, port, err := net.SplitHostPort(s.gitea.SSH)
	s.must(err)
	known, err := exec.CommandContext(s.Context(), "ssh-keyscan", "-p", port, host).Output()
	s.must(err)
	own := metav1.ObjectMeta{Namespace: storyNamespace, Name: "settings"}
	s.create(&corev1.Secret{ObjectMeta: own, StringData: map[string]string{"identity": string(private), "known_hosts": string(known)}})
	sync := &schema.Sync{ObjectMeta: own, Spec: schema.SyncSpec{URL: "ssh://git@" + s.gitea.SSH + "/" + storyRepository + ".git", Path: "config",
		SecretRef: &schema.SyncSecret{Name: "settings"}, ServiceAccountName: "deployer", TargetNamespace: storyNamespace}}
	// Its objects are those of the first Sync: it fetches and renders them, and is told whose they are.
	s.create(sync)
	t := s.T
	t.Cleanup(func() {
		for s.Delete(context.Background(), sync) == nil {
			<-time.After(20 * time.Millisecond)
		}
	})
	s.until("the Sync has fetched over SSH", time.Minute, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(sync), sync); err != nil {
			return err
		}
		c := meta.FindStatusCondition(sync.Status.Conditions, schema.SyncReady)
		if c == nil || c.Reason != "OwnedByAnother" || !strings.Contains(c.Message, storyNamespace+"/shop") {
			return fmt.Errorf("its conditions are %+v", sync.Status.Conditions)
		}
		return nil
	})
}
