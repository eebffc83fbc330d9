package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"

	"headgate.dev/agent/apply"
	"headgate.dev/agent/git"
	"headgate.dev/agent/internal/repositories"
	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// cluster is an Account that holds objects, and counts what it is asked.
type cluster struct {
	secrets  map[string]map[string][]byte
	maps     map[string]map[string]string
	set      *object.Set
	requests []apply.Request
	calls    int
	fail     error
	unwell   []apply.Unwell
	removed  []apply.Deletion
}

func (c *cluster) Secret(_ context.Context, _, name string) (map[string][]byte, error) {
	c.calls++
	if data, ok := c.secrets[name]; ok {
		return data, nil
	}
	return nil, apierrors.NewNotFound(k8sschema.GroupResource{Resource: "secrets"}, name)
}

func (c *cluster) ConfigMap(_ context.Context, _, name string) (map[string]string, error) {
	c.calls++
	if data, ok := c.maps[name]; ok {
		return data, nil
	}
	return nil, apierrors.NewNotFound(k8sschema.GroupResource{Resource: "configmaps"}, name)
}

func (c *cluster) DefaultGateways(context.Context) ([]DefaultGateway, error) {
	c.calls++
	return []DefaultGateway{{Namespace: "edge", Name: "public", For: "*"}}, nil
}

func (c *cluster) Apply(_ context.Context, r apply.Request) (*apply.Result, error) {
	c.calls++
	c.requests = append(c.requests, r)
	if c.fail != nil {
		return &apply.Result{}, c.fail
	}
	if c.set == nil {
		c.set, _ = object.NewSet(nil)
	}
	put, gone := object.Diff(c.set, r.Desired)
	result := &apply.Result{Unchanged: r.Desired.Len() - len(put)}
	for _, o := range put {
		result.Written = append(result.Written, apply.Written{Object: o, UID: "u-" + o.ID.Name, Generation: 1, Live: o.Content})
	}
	for _, id := range gone {
		result.Removed = append(result.Removed, apply.Removed{ID: id, UID: "u-" + id.Name})
	}
	for o := range r.Desired.All() {
		result.Inventory = append(result.Inventory, o.ID)
	}
	c.set = r.Desired
	return result, nil
}

func (c *cluster) Forget() {}

func (c *cluster) Await(context.Context, []apply.Expectation) ([]apply.Unwell, error) {
	return c.unwell, nil
}

func (c *cluster) Remove(_ context.Context, how apply.Deletion) (*apply.Result, error) {
	c.removed = append(c.removed, how)
	return &apply.Result{}, c.fail
}

// envoys are Proxies that answer when they are let.
type envoys struct {
	asked  chan []Want
	answer chan Reach
}

func (e *envoys) Wait(ctx context.Context, wants []Want) (Reach, error) {
	e.asked <- wants
	select {
	case r := <-e.answer:
		return r, nil
	case <-ctx.Done():
		return Reach{}, ctx.Err()
	}
}

// lab is a driver with a repository on disk and a cluster in memory.
type lab struct {
	testing.TB
	dir     string
	cluster *cluster
	world   World
	driver  *Driver
	sync    *schema.Sync
	status  schema.SyncStatus
	clock   time.Time
	waits   map[plan.Owner]string
	depends map[plan.Owner][]plan.Owner
}

// claimed is Traffic that a Sync has.
type claimed struct {
	owner plan.Owner
	asked []*object.Object
	open  int // what was asked and is not done with
}

func (c *claimed) Claims(_ context.Context, _ plan.Owner, put []*object.Object) (out []Claim, done func(bool), _ error) {
	c.asked = put
	c.open++
	for _, o := range put {
		out = append(out, Claim{
			ID: o.ID, Rule: -1, Gateway: "infra/public", Listener: "http:80", Host: "shop.example.com", Request: "/",
			By: object.ID{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: "team-b", Name: "store"}, Owner: c.owner,
		})
	}
	return out, func(bool) { c.open-- }, nil
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{TB: t, cluster: &cluster{}, clock: noon, dir: t.TempDir(), waits: map[plan.Owner]string{}}
	l.git("init", "-q", "-b", "main", ".")
	l.git("config", "user.name", "Ada")
	l.git("config", "user.email", "ada@example.com")
	l.sync = &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop", Generation: 1}}
	l.sync.Spec = schema.SyncSpec{URL: l.dir, ServiceAccountName: "deployer"}
	l.world = World{
		Repositories: &repositories.Pool{Options: git.Options{Cache: t.TempDir()}, Now: l.now},
		Account:      func(plan.Owner, string) (Account, error) { return l.cluster, nil },
		Worker:       func(context.Context, plan.Owner) (func(), error) { return func() {}, nil },
		Ready:        func(o plan.Owner) string { return l.waits[o] },
		DependsOn:    func(o plan.Owner) []plan.Owner { return l.depends[o] },
		Now:          l.now,
		Log:          slog.New(slog.DiscardHandler),
	}
	l.restart()
	return l
}

// restart makes another driver, as a new process does.
func (l *lab) restart() {
	if l.driver != nil {
		if err := l.driver.Close(); err != nil {
			l.Fatal(err)
		}
	}
	l.sync = l.sync.DeepCopy()
	l.sync.Status = l.status
	l.driver = NewDriver(&l.world, plan.Owner{Namespace: "team-a", Name: l.sync.Name}, l.status.Revision, func(s *Standing) {
		l.status = s.Status(l.status, l.clock)
	})
	driver := l.driver
	l.Cleanup(func() { driver.Close() })
}

// now is a clock that goes on by a millisecond each time it is looked at.
func (l *lab) now() time.Time {
	l.clock = l.clock.Add(time.Millisecond)
	return l.clock
}

func (l *lab) git(args ...string) string {
	l.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = l.dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (l *lab) commit(files ...string) (short string) {
	l.Helper()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(l.dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			l.Fatal(err)
		}
	}
	l.git("add", "-A")
	l.git("commit", "-q", "--allow-empty", "-m", "Change "+strings.Join(files[:min(1, len(files))], ""))
	return "main@" + l.git("rev-parse", "HEAD")[:7]
}

// look has the driver look, and gives what Ready says.
func (l *lab) look(t Trigger) string {
	l.Helper()
	if t.At.IsZero() {
		t.At = l.now()
	}
	_ = l.driver.Look(l.Context(), l.sync, t) // it is in the status
	return l.condition(schema.SyncReady)
}

// settle takes in one piece of news.
func (l *lab) settle() string {
	l.Helper()
	select {
	case n := <-l.driver.News():
		l.driver.Settle(n)
	case <-time.After(10 * time.Second):
		l.Fatal("there is no news")
	}
	return l.condition(schema.SyncLive)
}

// settled takes in all there is to come.
func (l *lab) settled() {
	l.Helper()
	for l.driver.News() != nil {
		l.settle()
	}
}

func (l *lab) condition(kind string) string {
	for _, c := range l.status.Conditions {
		if c.Type == kind {
			return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
		}
	}
	return ""
}

func (l *lab) want(what, got, want string) {
	l.Helper()
	if got != want {
		l.Errorf("%s: got %s\nwant %s", what, got, want)
	}
}

func configMap(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {a: " + value + "}\n"
}

func TestDriver(t *testing.T) {
	l := newLab(t)
	l.commit("a.yaml", configMap("a", "one"), "b.yaml", configMap("b", "one"))
	l.want("first", l.look(Trigger{}), "Unknown WaitingForHealth: applied; waiting for its objects to be healthy")
	l.want("live", l.settle(), "True Healthy: it changes nothing that an Envoy has, and its objects are healthy")
	l.want("ready", l.condition(schema.SyncReady), "True Applied: 2 objects are as in Git")

	calls := l.cluster.calls
	l.want("nothing new", l.look(Trigger{}), "True Applied: 2 objects are as in Git")
	if l.cluster.calls != calls {
		t.Errorf("nothing new costs %d calls", l.cluster.calls-calls)
	}

	good := short(l.status.Revision)
	bad := l.commit("a.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {nam: a}\n")
	l.want("a bad commit", l.look(Trigger{}), "False RenderFailed: "+bad+": a.yaml:1:1: ConfigMap has no metadata.name; "+good+" stays applied")
	if l.status.History[0].Result != schema.ResultRefused || len(l.cluster.requests) != 1 {
		t.Errorf("%d applies, %+v", len(l.cluster.requests), l.status.History[0])
	}
	l.want("still", l.look(Trigger{}), l.condition(schema.SyncReady))
	if len(l.status.History) != 2 {
		t.Errorf("it was told again: %+v", l.status.History)
	}

	l.commit("a.yaml", configMap("a", "two"))
	l.look(Trigger{})
	l.settled()
	l.want("a good one", l.condition(schema.SyncReady), "True Applied: 2 objects are as in Git")
	l.want("not stalled", l.condition(schema.SyncStalled), "")
}

// What the API server does not take is tried again, and a Sync whose process ended in between comes to the same end.
func TestDriverTriesAgain(t *testing.T) {
	l := newLab(t)
	c := l.commit("a.yaml", configMap("a", "one"))
	l.cluster.fail = errors.New("the server is not there")
	l.want("it fails", l.look(Trigger{}), "False ApplyFailed: "+c+": the server is not there")
	l.want("not for good", l.condition(schema.SyncStalled), "")
	l.restart()
	l.cluster.fail = nil
	l.look(Trigger{})
	l.settle()
	l.want("it does not", l.condition(schema.SyncReady), "True Applied: 1 object is as in Git")
	if h := l.status.History; len(h) != 1 || h[0].Result != schema.ResultApplied {
		t.Errorf("the history: %+v", h)
	}
	l.restart()
	l.look(Trigger{})
	l.want("after a restart", l.condition(schema.SyncReady), "True Applied: 1 object is as in Git")
	l.want("after a restart", l.condition(schema.SyncLive), "True Healthy: it changes nothing that an Envoy has, and its objects are healthy")
}

func TestDriverRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(l *lab)
		want string // with the commit as COMMIT
	}{
		{"no account", func(l *lab) { l.sync.Spec.ServiceAccountName = "" },
			"False NoServiceAccount: spec.serviceAccountName is missing, and the controller has no default: name the service account of namespace team-a as which this Sync may read and write"},
		{"no Secret", func(l *lab) { l.sync.Spec.SecretRef = &schema.SyncSecret{Name: "git"} },
			"False InputMissing: spec.secretRef: reading Secret git: there is none"},
		{"another namespace", func(l *lab) {
			l.sync.Spec.TargetNamespace = "team-b"
			l.commit("b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: team-c}\n")
		}, "False RenderFailed: COMMIT: b.yaml:3:32: metadata.namespace: ConfigMap team-c/b is in namespace team-c, and the Sync's targetNamespace is team-b"},
		{"not signed", func(l *lab) {
			l.sync.Spec.Verify = &schema.SyncVerify{SecretRef: schema.SyncSecret{Name: "keys"}}
			l.cluster.secrets = map[string]map[string][]byte{"keys": {"ada": []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGrJLPMU+k0mMjuA3jrEgb8x9BLxbHNJkMvGG4Vo5mPp ada")}}
		}, "False NotVerified: COMMIT: verifying the signature of REVISION: the commit is not signed"},
		{"another Sync first", func(l *lab) {
			l.sync.Spec.DependsOn = []schema.SyncReference{{Name: "platform", Namespace: "infra"}}
			l.waits[plan.Owner{Namespace: "infra", Name: "platform"}] = "ApplyFailed"
		}, "False DependencyNotReady: waiting for Sync infra/platform, which is not ready: ApplyFailed"},
		{"a Sync that waits for this one", func(l *lab) {
			b, c := plan.Owner{Namespace: "team-a", Name: "b"}, plan.Owner{Namespace: "team-b", Name: "c"}
			l.sync.Spec.DependsOn = []schema.SyncReference{{Name: "b"}}
			l.waits[b] = "DependencyNotReady"
			l.depends = map[plan.Owner][]plan.Owner{b: {c}, c: {b, {Namespace: "team-a", Name: "shop"}}}
		}, "False DependencyCycle: spec.dependsOn leads back to this Sync, so that each waits for the next for ever: Sync team-a/shop → Sync team-a/b → " +
			"Sync team-b/c → Sync team-a/shop; take one of them out of a dependsOn"},
		{"what another Sync serves", func(l *lab) {
			l.world.Traffic = &claimed{owner: plan.Owner{Namespace: "team-b", Name: "store"}}
		}, "False RefusedByPolicy: COMMIT: a.yaml:1:1: ConfigMap team-a/a of Sync team-a/shop asks for shop.example.com / of Gateway infra/public (http:80), which " +
			"HTTPRoute team-b/store of Sync team-b/store has; to have it applied all the same, set spec.conflicts: warn"},
		{"more files than a commit may have", func(l *lab) {
			l.world.Limits.Bytes = 1000
			l.commit("b.yaml", configMap("b", strings.Repeat("x", 1000)))
		}, "False RenderFailed: COMMIT: b.yaml: reading the tree up to b.yaml: more than the limit of 1000 bytes: serve a smaller directory of the repository"},
		{"no branch", func(l *lab) { l.sync.Spec.Ref = &schema.SyncRef{Branch: "gone"} },
			"False FetchFailed: looking for refs/heads/gone in DIR: not found"},
		{"a pointer", func(l *lab) { l.sync.Spec.Ignore = []schema.SyncIgnore{{Fields: []string{"/metadata/name"}}} },
			`False InputMissing: spec.ignore[0].fields[0]: reading pointer "/metadata/name": which object it is cannot be left to others`},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.commit("a.yaml", configMap("a", "one"))
			test.do(l)
			hash := l.git("rev-parse", "HEAD")
			want := strings.NewReplacer("COMMIT", "main@"+hash[:7], "REVISION", "main@sha1:"+hash, "DIR", l.dir).Replace(test.want)
			l.want(test.name, l.look(Trigger{}), want)
			if len(l.cluster.requests) > 0 {
				t.Error("something was applied")
			}
		})
	}
}

// TestDriverConflicts: what another Sync serves is refused until that lets go of it, or told where the Sync says so; what is this Sync's or nobody's is neither.
func TestDriverConflicts(t *testing.T) {
	l := newLab(t)
	traffic := &claimed{owner: plan.Owner{Namespace: "team-b", Name: "store"}}
	l.world.Traffic = traffic
	l.restart()
	l.commit("a.yaml", configMap("a", "one"))
	for range 2 {
		if got := l.look(Trigger{}); !strings.HasPrefix(got, "False RefusedByPolicy: ") {
			t.Fatalf("got %s", got)
		}
	}
	if got := l.condition(schema.SyncReconciling); !strings.HasPrefix(got, "True ProgressingRetry: ") {
		t.Errorf("got %s", got)
	}
	l.sync.Spec.Conflicts, l.sync.Generation = schema.ConflictsWarn, 2
	l.look(Trigger{})
	l.settled()
	if got := l.condition(schema.SyncReady); !strings.HasPrefix(got, "True Applied: 1 object is as in Git; conflict: main@") {
		t.Errorf("got %s", got)
	}
	l.sync.Spec.Conflicts, l.sync.Generation = "", 3
	l.commit("b.yaml", configMap("b", "one"))
	if got := l.look(Trigger{}); !strings.Contains(got, "b.yaml:1:1") || strings.Contains(got, "a.yaml") || len(traffic.asked) != 1 {
		t.Errorf("got %s", got)
	}
	for _, owner := range []plan.Owner{{}, {Namespace: "team-a", Name: "shop"}} {
		traffic.owner = owner
		l.look(Trigger{Anew: true})
		l.settled()
		l.want("no other Sync's", l.condition(schema.SyncReady), "True Applied: 2 objects are as in Git")
	}
	if traffic.open != 0 {
		t.Errorf("%d of what was asked was never done with", traffic.open)
	}
}

// oneEach is Traffic where each object can be only one Sync's.
type oneEach struct {
	mu  sync.Mutex
	had map[string]plan.Owner // by name
}

func (c *oneEach) Claims(_ context.Context, owner plan.Owner, put []*object.Object) (out []Claim, done func(bool), _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range put {
		if by, has := c.had[o.ID.Name]; has {
			out = append(out, Claim{ID: o.ID, Rule: -1, Host: o.ID.Name, By: o.ID, Owner: by})
		} else {
			c.had[o.ID.Name] = owner
		}
	}
	return out, func(written bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for name, by := range c.had {
			if by == owner && !written {
				delete(c.had, name)
			}
		}
	}, nil
}

// TestDriversConflictAtOnce: of two drivers that bring the same traffic in the same instant one is refused, and told of the other, though neither
// has written anything when they ask.
func TestDriversConflictAtOnce(t *testing.T) {
	traffic := &oneEach{had: map[string]plan.Owner{}}
	labs := []*lab{newLab(t), newLab(t)}
	for i, l := range labs {
		l.world.Traffic = traffic
		l.sync.Name = []string{"one", "two"}[i]
		l.restart()
		l.commit("a.yaml", configMap("a", "one"))
	}
	got := make([]string, len(labs))
	var both sync.WaitGroup
	for i, l := range labs {
		both.Go(func() { got[i] = l.look(Trigger{}) })
	}
	both.Wait()
	slices.Sort(got)
	if !strings.HasPrefix(got[0], "False RefusedByPolicy: ") || !strings.Contains(got[0], "a.yaml:1:1") || strings.HasPrefix(got[1], "False") {
		t.Errorf("got %q", got)
	}
	if written := len(labs[0].cluster.requests) + len(labs[1].cluster.requests); written != 1 {
		t.Errorf("%d applies, want 1", written)
	}
}

// The Envoys decide about live; what a commit before wrote and nobody has acknowledged is part of the next one.
func TestDriverAsksTheEnvoys(t *testing.T) {
	l := newLab(t)
	e := &envoys{asked: make(chan []Want, 4), answer: make(chan Reach)}
	l.world.Proxies = e
	no := false
	l.sync.Spec.Wait = &no
	l.commit("a.yaml", configMap("a", "one"))
	l.want("applied", l.look(Trigger{}), "True Applied: 1 object is as in Git")
	<-e.asked
	c := l.commit("b.yaml", configMap("b", "one"))
	l.look(Trigger{})
	wants := <-e.asked
	if len(wants) != 2 || wants[0].ID.Name != "a" || wants[1].UID != "u-b" {
		t.Errorf("wants %+v", wants)
	}
	refused := Reach{Gateways: []GatewayReach{{"infra", "public", Envoys{0, 1}}}, Refused: []Refusal{{wants[1].ID, "no"}}}
	go func() { e.answer <- refused }()
	for l.condition(schema.SyncLive)[:4] == "Unkn" {
		l.settle()
	}
	l.want("refused", l.condition(schema.SyncLive), "False Refused: "+c+": b.yaml:1:1: ConfigMap team-a/b: no")
	l.want("ready all the same", l.condition(schema.SyncReady), "True Applied: 2 objects are as in Git")
	l.commit("b.yaml", configMap("b", "two"))
	l.look(Trigger{})
	if wants := <-e.asked; len(wants) != 2 {
		t.Errorf("wants %+v", wants)
	}
	go func() { e.answer <- Reach{Gateways: []GatewayReach{{"infra", "public", Envoys{1, 1}}}} }()
	for l.condition(schema.SyncLive)[:4] != "True" {
		l.settle()
	}
	if g := l.status.Live.Gateways; len(g) != 1 || g[0].Acked != 1 || l.status.Live.Revision != l.status.Revision {
		t.Errorf("live: %+v", l.status.Live)
	}
}

func TestDriverTellsWhatIsNotHealthy(t *testing.T) {
	l := newLab(t)
	c := l.commit("a.yaml", configMap("a", "one"))
	l.cluster.unwell = []apply.Unwell{{ID: object.ID{Kind: "ConfigMap", Name: "a"}, Origin: object.Origin{File: "a.yaml", Line: 1}, Verdict: apply.Verdict{Health: apply.Failed, Message: "it is ill"}}}
	l.look(Trigger{})
	l.want("not live", l.settle(), "Unknown Waiting: applied; not every Envoy concerned has answered")
	l.want("not ready", l.condition(schema.SyncReady), "False Unhealthy: "+c+": a.yaml:1: ConfigMap a is not healthy: it is ill")
	l.cluster.unwell = nil
	l.look(Trigger{})
	l.settle()
	l.want("well again", l.condition(schema.SyncReady), "True Applied: 1 object is as in Git")
	l.want("live", l.condition(schema.SyncLive)[:4], "True")
}

func TestDriverDeletes(t *testing.T) {
	no := false
	for _, test := range []struct {
		spec schema.SyncSpec
		want apply.Deletion
	}{
		{schema.SyncSpec{}, apply.Delete}, {schema.SyncSpec{Prune: &no}, apply.Orphan}, {schema.SyncSpec{Suspend: true}, apply.Orphan},
		{schema.SyncSpec{Prune: &no, DeletionPolicy: schema.DeletionDelete}, apply.Delete},
		{schema.SyncSpec{DeletionPolicy: schema.DeletionWait}, apply.DeleteAndWait}, {schema.SyncSpec{DeletionPolicy: schema.DeletionOrphan}, apply.Orphan},
	} {
		if got := deletionOf(&test.spec); got != test.want {
			t.Errorf("%+v: got %s", test.spec, got)
		}
	}
	l := newLab(t)
	since := metav1.NewTime(l.clock)
	l.sync.DeletionTimestamp = &since
	l.cluster.fail = errors.New("no")
	if done, p := l.driver.Delete(t.Context(), l.sync, time.Hour); done || p == nil {
		t.Errorf("at first: done %t, %v", done, p)
	}
	l.clock = l.clock.Add(5 * time.Minute)
	if done, p := l.driver.Delete(t.Context(), l.sync, time.Hour); !done || p == nil || !strings.Contains(p.Message, "stays") {
		t.Errorf("after its timeout: done %t, %v", done, p)
	}
}

func TestTriggers(t *testing.T) {
	a := Trigger{At: noon, Again: []object.ID{{Name: "a"}}, Hooked: noon.Add(time.Second)}
	b := Trigger{At: noon.Add(time.Minute), Inputs: true, Again: []object.ID{{Name: "b"}}, Hooked: noon, Pushed: noon.Add(-time.Second)}
	got := a.And(b)
	if !got.At.Equal(b.At) || !got.Inputs || got.Anew || len(got.Again) != 2 || !got.Hooked.Equal(noon) || !got.Pushed.Equal(b.Pushed) {
		t.Errorf("got %+v", got)
	}
	if !slices.Equal(a.Again, []object.ID{{Name: "a"}}) {
		t.Error("it was written to")
	}
}

// History that is rewritten is followed and said, or refused where the Sync is monotonic.
func TestDriverRewrittenHistory(t *testing.T) {
	l := newLab(t)
	first := l.commit("a.yaml", configMap("a", "one"))
	second := l.commit("a.yaml", configMap("a", "two"))
	l.look(Trigger{})
	l.settled()
	l.sync.Spec.Monotonic, l.sync.Generation = true, 2
	l.git("reset", "-q", "--hard", "HEAD~1")
	l.want("monotonic", l.look(Trigger{}), "False NotMonotonic: "+first+" does not come after "+second+
		": history was rewritten, and the Sync is monotonic; pin the commit to go there; "+second+" stays applied")
	l.sync.Spec.Monotonic, l.sync.Generation = false, 3
	l.look(Trigger{})
	l.settled()
	l.want("followed", l.condition(schema.SyncReady), "True Applied: 1 object is as in Git")
	if got := l.driver.standing.Attempt.Rewrote; !strings.HasPrefix(got, "main@sha1:"+strings.TrimPrefix(second, "main@")) {
		t.Errorf("rewrote %q", got)
	}
	l.commit("a.yaml", configMap("a", "three"))
	l.sync.Spec.Monotonic, l.sync.Generation = true, 4
	l.look(Trigger{})
	l.settled()
	l.want("onwards", l.condition(schema.SyncReady), "True Applied: 1 object is as in Git")
}

// What a Sync names is read again when it may have changed, and what comes of it is applied without a new commit.
func TestDriverReadsInputsAgain(t *testing.T) {
	l := newLab(t)
	l.commit("a.yaml", configMap("a", "${VALUE}"))
	l.cluster.maps = map[string]map[string]string{"values": {"VALUE": "one"}}
	l.sync.Spec.Substitute = &schema.SyncSubstitute{From: []schema.SyncSubstituteFrom{{Kind: "ConfigMap", Name: "values"}}}
	l.look(Trigger{})
	l.settled()
	l.cluster.maps["values"] = map[string]string{"VALUE": "two"}
	l.look(Trigger{Inputs: true})
	l.settled()
	for o := range l.cluster.set.All() {
		if got := o.Content["data"].(map[string]any)["a"]; got != "two" {
			t.Errorf("got %v", got)
		}
	}
	if len(l.status.History) != 1 || l.condition(schema.SyncReady) != "True Applied: 1 object is as in Git" {
		t.Errorf("the status: %s", tell(&l.status))
	}
}
