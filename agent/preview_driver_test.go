package agent

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// previewLab is a lab with a preview beside production.
type previewLab struct {
	*lab
	shared   *Previews
	reports  []PreviewReport
	accounts map[plan.Owner]*cluster
	as       map[plan.Owner]string
	woken    []plan.Owner
}

func newPreviewLab(t testing.TB) *previewLab {
	t.Helper()
	l := &previewLab{lab: newLab(t), accounts: map[plan.Owner]*cluster{}, as: map[plan.Owner]string{}}
	l.world.Account = func(o plan.Owner, name string) (Account, error) {
		if l.accounts[o] == nil {
			l.accounts[o] = &cluster{}
		}
		l.as[o] = name
		return l.accounts[o], nil
	}
	l.world.Previewed = func(r PreviewReport) { l.reports = append(l.reports, r) }
	l.shared = NewPreviews(&l.world, func(o plan.Owner) { l.woken = append(l.woken, o) }, nil)
	l.sync.Spec.Gateway = "edge/public"
	l.sync.Spec.Previews = &schema.SyncPreviews{PullRequests: &schema.PreviewPullRequests{}, Domain: "preview.example.com", ServiceAccountName: "previews"}
	return l
}

// previewed is one preview.
type previewed struct {
	*previewLab
	object *schema.Preview
	driver *PreviewDriver
}

func (l *previewLab) preview(number int64, commit, base string) *previewed {
	p := &previewed{previewLab: l, object: &schema.Preview{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: fmt.Sprintf("shop-pr-%d", number), Generation: 1},
		Spec:       schema.PreviewSpec{Sync: "shop", Name: fmt.Sprintf("pr-%d", number), Number: number, Commit: commit, Base: base},
	}}
	p.again()
	return p
}

// again makes another driver, as a new process does.
func (p *previewed) again() {
	if p.driver != nil {
		if err := p.driver.Close(); err != nil {
			p.Fatal(err)
		}
	}
	p.driver = NewPreviewDriver(p.shared, p.object, func(s *PreviewStanding) { p.object.Status = s.Status(p.object.Status, p.clock) })
	driver := p.driver
	p.Cleanup(func() {
		if p.driver == driver {
			driver.Close()
		}
	})
}

func (p *previewed) pushed(commit string) {
	p.object.Spec.Commit = commit
	p.object.Generation++
}

// look has the driver look, takes in all there is to come, and gives what Ready says.
func (p *previewed) look() string {
	p.Helper()
	_ = p.driver.Look(p.Context(), p.object, PreviewOf{Sync: p.sync, Production: p.previewLab.driver.Production(), Account: "previews"}) // it is in the status
	for p.driver.News() != nil {
		select {
		case n := <-p.driver.News():
			p.driver.Settle(n)
		case <-time.After(10 * time.Second):
			p.Fatal("there is no news")
		}
	}
	return p.said(schema.PreviewReady)
}

func (p *previewed) said(kind string) string {
	for _, c := range p.object.Status.Conditions {
		if c.Type == kind {
			return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
		}
	}
	return ""
}

// has gives what the cluster has for it, by name.
func (p *previewed) has() string {
	c := p.accounts[PreviewOwner("team-a", p.object.Name)]
	if c == nil || c.set.Len() == 0 {
		return ""
	}
	var names []string
	for o := range c.set.All() {
		names = append(names, o.ID.Kind+"/"+o.ID.Name)
	}
	return strings.Join(names, " ")
}

func (l *previewLab) head(branch string, files ...string) string {
	l.Helper()
	l.git("checkout", "-q", "-B", branch, "main")
	l.commit(files...)
	hash := l.git("rev-parse", "HEAD")
	l.git("checkout", "-q", "main")
	return hash
}

func serviceSpec(name, more string) string {
	return "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: " + name + "}\nspec:\n  hosts: [" + name + ".example.com]\n  port: 80\n" + more
}

func TestPreviewDriver(t *testing.T) {
	l := newPreviewLab(t)
	l.commit("shop.yaml", serviceSpec("shop", ""), "cart.yaml", serviceSpec("cart", ""))
	base := l.git("rev-parse", "HEAD")
	p := l.preview(42, l.head("one", "shop.yaml", serviceSpec("shop", "  routes: [{path: /a, timeout: 5s}]\n")), base)
	l.want("before production", p.look(), "False WaitingForProduction: nothing of Sync shop is applied since the start")
	l.look(Trigger{})
	l.settled()

	l.want("first", p.look(), "True Applied: all of the commit is applied")
	l.want("its objects", p.has(), "HTTPRoute/shop.preview-shop-pr-42")
	l.want("its account", l.as[PreviewOwner("team-a", "shop-pr-42")], "previews")
	st := p.object.Status
	l.want("its URL", st.URL, "http://shop-pr-42.preview.example.com")
	l.want("its revision", st.Revision, "pr-42@sha1:"+p.object.Spec.Commit)
	if r := l.reports[len(l.reports)-1]; !r.Applied || r.Live.IsZero() || r.LiveAfter <= 0 || r.Before != l.driver.Production().Set || r.After.Len() != 2 || r.Number != 42 {
		t.Errorf("it is told %+v", r)
	}
	told, calls := len(l.reports), l.accounts[PreviewOwner("team-a", "shop-pr-42")].calls
	p.look()
	if len(l.reports) != told || l.accounts[PreviewOwner("team-a", "shop-pr-42")].calls != calls {
		t.Error("nothing new is told, or costs a call")
	}

	p.pushed(l.head("two", "shop.yaml", serviceSpec("shop", "  rutes: []\n")))
	l.want("a broken head", p.look(), "False RenderFailed: pr-42@"+p.object.Spec.Commit[:7]+
		`: shop.yaml:7:3: spec.rutes: unknown field; did you mean "routes"?; `+short(st.Revision)+" stays applied")
	l.want("it keeps", p.has(), "HTTPRoute/shop.preview-shop-pr-42")
	if r := l.reports[len(l.reports)-1]; r.Before != nil || r.Problem == nil || r.Serving != strings.TrimPrefix(st.Revision, "pr-42@sha1:") || r.Applied {
		t.Errorf("it is told %+v", r)
	}

	bad := p.object.Spec.Commit
	p.pushed(strings.TrimPrefix(st.Revision, "pr-42@sha1:"))
	l.want("back to the good one", p.look(), "True Applied: all of the commit is applied")
	if r := l.reports[len(l.reports)-1]; r.Live.IsZero() || r.LiveAfter > time.Second || !strings.HasPrefix(p.said(schema.PreviewLive), "True") {
		t.Errorf("it is told %+v", r)
	}
	p.pushed(bad)
	p.look()

	p.pushed(l.head("three", "cart.yaml", serviceSpec("cart", "  routes: [{path: /b}]\n")))
	l.want("another head", p.look(), "True Applied: all of the commit is applied")
	l.want("what it took back is gone", p.has(), "HTTPRoute/cart.preview-shop-pr-42")
	p.again()
	l.want("after a restart", p.look(), "True Applied: all of the commit is applied")
	l.want("after a restart", p.said(schema.PreviewLive), "True Healthy: it changes nothing that an Envoy has, and its objects are healthy")

	l.commit("help.yaml", strings.Replace(serviceSpec("help", "  routes: [{path: /help}]\n"), "help.example", "cart.example", 1))
	l.look(Trigger{})
	l.settled()
	p.look()
	l.want("production moved", p.has(), "HTTPRoute/cart.preview-shop-pr-42 HTTPRoute/help.preview-shop-pr-42")

	l.sync.Spec.Previews = nil
	l.want("no previews any more", p.look(), "False Ended: Sync shop has no previews any more")
	if c := l.accounts[PreviewOwner("team-a", "shop-pr-42")]; len(c.removed) != 1 {
		t.Errorf("it was removed %d times", len(c.removed))
	}
	p.look()
	if c := l.accounts[PreviewOwner("team-a", "shop-pr-42")]; len(c.removed) != 1 || p.object.Status.URL != "" {
		t.Errorf("it was removed %d times, and is at %q", len(c.removed), p.object.Status.URL)
	}
}

// A host is that of who had it first. Who wants it is told whose it is, and looked at again when it is free.
func TestPreviewHosts(t *testing.T) {
	l := newPreviewLab(t)
	l.commit("shop.yaml", serviceSpec("shop", ""))
	base := l.git("rev-parse", "HEAD")
	l.look(Trigger{})
	p := l.preview(1, l.head("one", "b.yaml", serviceSpec("shop-b", "")), base)
	l.want("first", p.look(), "True Applied: all of the commit is applied")
	q := l.preview(2, l.head("two", "shop.yaml", serviceSpec("shop", "  routes: [{path: /a}]\n")), base)
	q.object.Spec.Name = "b-pr-1"
	if said := q.look(); !strings.Contains(said, "shop-b-pr-1.preview.example.com is that of Preview team-a/shop-pr-1 (rule collision)") {
		t.Errorf("it says %s", said)
	}
	if done, problem := p.driver.Delete(t.Context(), p.object, "previews", time.Minute); !done || problem != nil {
		t.Errorf("%v, %v", done, problem)
	}
	if len(l.woken) != 1 || l.woken[0] != PreviewOwner("team-a", "shop-pr-2") {
		t.Errorf("woken are %v", l.woken)
	}
	l.want("then the other one", q.look(), "True Applied: all of the commit is applied")
	if r := l.reports[len(l.reports)-1]; r.Preview != "shop-pr-2" || !r.Applied {
		t.Errorf("it is told %+v", r)
	}
}

// A stranger's head is rendered without values, and as nothing but the head of its pull request.
func TestPreviewOfFork(t *testing.T) {
	l := newPreviewLab(t)
	l.sync.Spec.Substitute = &schema.SyncSubstitute{Variables: map[string]schema.SyncValue{"LIMIT": "5s"}}
	l.commit("shop.yaml", serviceSpec("shop", ""))
	base := l.git("rev-parse", "HEAD")
	l.look(Trigger{})
	p := l.preview(1, l.head("one", "shop.yaml", serviceSpec("shop", "  routes: [{headers: {x-limit: \"${LIMIT}\"}}]\n")), base)
	p.object.Spec.Fork = true
	p.look()
	text := ""
	for o := range l.accounts[PreviewOwner("team-a", "shop-pr-1")].set.All() {
		text += string(object.AppendJSON(nil, o.Content))
	}
	if !strings.Contains(text, "${LIMIT}") || strings.Contains(text, "5s") {
		t.Errorf("a fork gets values: %s", text)
	}
	p.pushed(l.head("two", "secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"))
	if said := p.look(); !strings.HasPrefix(said, "False ForkRefused: ") || !strings.Contains(said, "secret.yaml:1:1") || !strings.HasSuffix(said, " stays applied") {
		t.Errorf("it says %s", said)
	}
	l.want("it keeps", p.has(), "HTTPRoute/shop.preview-shop-pr-1")
}

// TestPreviewMemory holds that 200 previews of a tree of 20 routes, each of which changes all, cost less than 150 MiB; 40 of them, a fifth.
func TestPreviewMemory(t *testing.T) {
	const previews, routes, limit = 40, 20, 30 << 20
	l := newPreviewLab(t)
	var files []string
	for i := range routes {
		files = append(files, fmt.Sprintf("s%02d.yaml", i), serviceSpec(fmt.Sprintf("s%02d", i), ""))
	}
	l.commit(files...)
	base := l.git("rev-parse", "HEAD")
	l.look(Trigger{})
	l.settled()
	heads := l.heads(previews, routes, base)
	before := heap()
	var all []*previewed
	for i, head := range heads {
		p := l.preview(int64(i+1), head, base)
		l.reports = nil
		l.want("preview "+p.object.Name, p.look(), "True Applied: all of the commit is applied")
		l.accounts[PreviewOwner("team-a", p.object.Name)].requests = nil
		// What a cluster holds is no memory of ours.
		*l.accounts[PreviewOwner("team-a", p.object.Name)] = cluster{}
		all = append(all, p)
	}
	grown := heap() - before
	t.Logf("%d previews of %d routes: %.1f MiB", previews, routes, float64(grown)/(1<<20))
	if grown > limit {
		t.Errorf("%d bytes", grown)
	}
	runtime.KeepAlive(all)
}

// heads commits branches, each of which changes every route in its own way.
func (l *previewLab) heads(n, routes int, base string) []string {
	l.Helper()
	var in bytes.Buffer
	for i := range n {
		fmt.Fprintf(&in, "commit refs/heads/p%d\nmark :%d\ncommitter Ada <ada@example.com> 1700000000 +0000\ndata 1\nx\nfrom %s\n", i, i+1, base)
		for r := range routes {
			text := serviceSpec(fmt.Sprintf("s%02d", r), fmt.Sprintf("  routes: [{path: /, timeout: %ds}]\n", i+1))
			fmt.Fprintf(&in, "M 100644 inline s%02d.yaml\ndata %d\n%s\n", r, len(text), text)
		}
	}
	marks := l.TempDir() + "/marks"
	cmd := exec.Command("git", "fast-import", "--quiet", "--export-marks="+marks)
	cmd.Dir, cmd.Stdin = l.dir, &in
	if out, err := cmd.CombinedOutput(); err != nil {
		l.Fatalf("git fast-import: %v: %s", err, out)
	}
	text, err := os.ReadFile(marks)
	if err != nil {
		l.Fatal(err)
	}
	heads := make([]string, n)
	for line := range strings.Lines(string(text)) {
		var mark int
		var hash string
		if _, err := fmt.Sscanf(line, ":%d %s", &mark, &hash); err != nil {
			l.Fatal(err)
		}
		heads[mark-1] = hash
	}
	return heads
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkProductionBesidePreviews is a commit of production, alone and while 200 previews are laid over the commit before.
func BenchmarkProductionBesidePreviews(b *testing.B) {
	const previews, routes = 200, 20
	l := newPreviewLab(b)
	var files []string
	for i := range routes {
		files = append(files, fmt.Sprintf("s%02d.yaml", i), serviceSpec(fmt.Sprintf("s%02d", i), ""))
	}
	l.commit(files...)
	base := l.git("rev-parse", "HEAD")
	l.look(Trigger{})
	l.settled()
	l.world.Now, l.world.Repositories.Now = time.Now, time.Now // the lab's clock is for one goroutine
	l.world.Previewed, l.world.Account = nil, func(plan.Owner, string) (Account, error) { return &cluster{}, nil }
	var all []*previewed
	for i, head := range l.heads(previews, routes, base) {
		p := l.preview(int64(i+1), head, base)
		p.look()
		all = append(all, p)
	}
	commit := 0
	round := func(b *testing.B, beside []*previewed) {
		b.StopTimer()
		commit++
		l.commit("s00.yaml", serviceSpec("s00", fmt.Sprintf("  routes: [{path: /%d}]\n", commit)))
		var wait sync.WaitGroup
		of := PreviewOf{Sync: l.sync, Production: l.driver.Production(), Account: "previews"}
		for _, p := range beside {
			wait.Go(func() { _ = p.driver.Look(b.Context(), p.object, of) })
		}
		b.StartTimer()
		_ = l.driver.Look(b.Context(), l.sync, Trigger{At: time.Now()})
		b.StopTimer()
		wait.Wait()
		l.settled()
		b.StartTimer()
	}
	for name, beside := range map[string][]*previewed{"alone": nil, "beside": all} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				round(b, beside)
			}
		})
	}
}
