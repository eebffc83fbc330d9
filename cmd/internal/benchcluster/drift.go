package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/cmd/internal/lab"
	"headgate.dev/schema"
)

// driftFigures is what was measured of drift. Memory is in MiB, CPU in cores; both are what the Sync costs on top, with all it keeps for its next commit.
type driftFigures struct {
	Objects   int     `json:"ownedObjects"`
	Detected  times   `json:"editToRecord"`
	Told      times   `json:"editToAlertmanager"`
	Corrected times   `json:"editToCorrected"`
	Watched   int     `json:"objectsWatchedIdle"`
	Memory    float64 `json:"memoryOfWatching"`
	Idle      float64 `json:"idleCoresOfWatching"`
}

const (
	watchedIdle = 5000
	driftSync   = "night"
	fromGit     = "10s"
	editEvery   = 100 * time.Millisecond
	firstEdit   = 1000 // seconds; each edit says another number
)

// night is a Sync whose objects are edited by hand.
type night struct {
	*cluster
	watching client.WithWatch
	repo     *lab.Repo
	sync     *schema.Sync
	posts    chan post // what an Alertmanager gets
	edited   int       // edits until now
}

// post is a request that an Alertmanager got.
type post struct {
	at   time.Time
	body string
}

// drift measures how long an edit takes until it is seen, told and put back, and what watching costs.
func (c *cluster) drift(ctx context.Context, r *report) error {
	say("drift of %d objects", c.drifting)
	f := &driftFigures{Objects: c.drifting}
	r.Drift = f
	n := &night{cluster: c, posts: make(chan post, 1000)}
	if err := n.begin(ctx); err != nil {
		return err
	}
	controller, err := c.controller(ctx)
	if err != nil {
		return err
	}
	before, _, err := controller.memory()
	if err != nil {
		return err
	}
	idle, err := c.cores(ctx, controller, idleFor, func(context.Context) error { return nil })
	if err != nil {
		return err
	}
	if err := n.follow(ctx, c.drifting, 0); err != nil {
		return err
	}
	if err := n.alerts(ctx, f); err != nil {
		return fmt.Errorf("with alerts: %w", err)
	}
	if err := n.corrections(ctx, f); err != nil {
		return fmt.Errorf("with corrections: %w", err)
	}
	f.Watched = max(watchedIdle, c.drifting)
	say("watching %d objects", f.Watched)
	if err := n.follow(ctx, c.drifting, f.Watched-c.drifting); err != nil {
		return err
	}
	if err := n.rest(ctx); err != nil {
		return err
	}
	with, err := c.cores(ctx, controller, 3*idleFor, func(context.Context) error { return nil })
	if err != nil {
		return err
	}
	after, _, err := controller.memory()
	f.Memory, f.Idle = after-before, max(0, with-idle)
	return err
}

// rest has the Sync look at its repository as often as usual, since to look is no part of watching, and waits until that change has been digested.
func (n *night) rest(ctx context.Context) error {
	if err := n.Patch(ctx, n.sync, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"interval":"1m"}}`))); err != nil {
		return err
	}
	timer := time.NewTimer(2 * idleFor)
	defer timer.Stop()
	select { // the end; it has been digested
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// begin makes the repository, which is served from this process, the Alertmanager, which is one as far as taking alerts goes, and the Sync's account.
func (n *night) begin(ctx context.Context) error {
	cfg, err := config.GetConfig()
	if err != nil {
		return err
	}
	cfg.QPS = -1
	if n.watching, err = client.NewWithWatch(cfg, client.Options{Scheme: n.Scheme()}); err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "headgate-bench-")
	if err != nil {
		return err
	}
	if n.repo, err = lab.NewRepo(filepath.Join(root, "repo")); err != nil {
		return err
	}
	execPath, err := n.repo.Git("--exec-path")
	if err != nil {
		return err
	}
	git := &cgi.Handler{
		Path: filepath.Join(execPath, "git-http-backend"), Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}
	address, err := n.serve(ctx, git)
	if err != nil {
		return err
	}
	return n.prepareSync(ctx, "http://"+address)
}

// serve serves the repository, and takes alerts.
func (n *night) serve(ctx context.Context, git http.Handler) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(n.host, "0"))
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.Handle("/repo/", git)
	mux.HandleFunc("/api/v2/alerts", func(_ http.ResponseWriter, q *http.Request) {
		at := time.Now()
		body, _ := io.ReadAll(q.Body)
		select {
		case n.posts <- post{at, string(body)}:
		case <-ctx.Done():
		}
	})
	go func() { // ends with the program
		_ = http.Serve(l, mux)
	}()
	return l.Addr().String(), nil
}

// prepareSync makes the account, and the Sync, which is created with its first commit.
func (n *night) prepareSync(ctx context.Context, base string) error {
	account := at("deployer")
	n.sync = &schema.Sync{ObjectMeta: at(driftSync), Spec: schema.SyncSpec{
		URL: base + "/repo/.git", Interval: "1s", ServiceAccountName: account.Name,
		Notify: []schema.SyncNotify{{Name: "on-call", Type: schema.NotifyAlertmanager, URL: base}},
	}}
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: account},
		&rbacv1.RoleBinding{
			ObjectMeta: account, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}},
		},
	} {
		if err := n.Create(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// follow commits as many routes and other objects, and waits until they are applied and watched.
func (n *night) follow(ctx context.Context, routes, others int) error {
	files := map[string]*strings.Builder{}
	in := func(kind string, i int) *strings.Builder { // a file has a thousand documents at most
		name := fmt.Sprintf("%s-%d.yaml", kind, i/500)
		if files[name] == nil {
			files[name] = &strings.Builder{}
		}
		return files[name]
	}
	for i := range routes {
		fmt.Fprintf(in("routes", i), `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[1]s}
spec:
  hostnames: [%[1]s.bench.example]
  rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    timeouts: {request: %[2]s}
    backendRefs: [{name: other, port: 80}]
`, driftRoute(i), fromGit)
	}
	for i := range others {
		fmt.Fprintf(in("others", i), "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings-%d}\ndata: {number: \"%[1]d\"}\n", i)
	}
	for name, b := range files {
		if err := n.repo.Write(name, b.String()); err != nil {
			return err
		}
	}
	commit, err := n.repo.Commit(fmt.Sprintf("%d routes, %d others", routes, others))
	if err != nil {
		return err
	}
	if n.sync.UID == "" {
		if err := n.Create(ctx, n.sync); err != nil {
			return err
		}
	}
	err = until(ctx, 10*patience, func() error {
		if err := n.Get(ctx, client.ObjectKeyFromObject(n.sync), n.sync); err != nil {
			return err
		}
		if !strings.HasSuffix(n.sync.Status.Revision, commit) {
			return fmt.Errorf("the Sync is at %q: %+v", n.sync.Status.Revision, n.sync.Status.Conditions)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = n.alert(ctx) // the watches are there
	return err
}

func driftRoute(i int) string { return fmt.Sprintf("night-%d", i) }

// edit changes the timeout of a route, another one each time, and gives the name, the value, and when that was begun.
func (n *night) edit(ctx context.Context, value string) (name string, began time.Time, err error) {
	name = driftRoute(n.edited % n.drifting)
	r := &gwv1.HTTPRoute{ObjectMeta: at(name)}
	patch := fmt.Appendf(nil, `[{"op":"replace","path":"/spec/rules/0/timeouts/request","value":%q}]`, value)
	began = time.Now()
	return name, began, n.Patch(ctx, r, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner("kubectl-edit"))
}

func (n *night) next() string {
	n.edited++
	return fmt.Sprintf("%ds", firstEdit+n.edited)
}

// watch watches one object. All of its kind would come first, and to read them would be a part of what is measured.
func (n *night) watch(ctx context.Context, list client.ObjectList, name string) (watch.Interface, error) {
	return n.watching.Watch(ctx, list, client.InNamespace(namespace), client.MatchingFields{"metadata.name": name})
}

// seen is how long an edit took until there was a record, and until the Alertmanager had it.
type seen struct{ record, told time.Duration }

// alert edits a route, waits until both have it, and takes the edit back.
func (n *night) alert(ctx context.Context) (seen, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out seen
	value := n.next()
	w, err := n.watch(ctx, &corev1.ConfigMapList{}, driftSync+"-drift")
	if err != nil {
		return out, err
	}
	defer w.Stop()
	_, began, err := n.edit(ctx, value)
	if err != nil {
		return out, err
	}
	for out.record == 0 || out.told == 0 {
		select { // the end; an alert; a record
		case <-ctx.Done():
			return out, fmt.Errorf("waiting for the drift to %s: %w", value, ctx.Err())
		case p := <-n.posts:
			if out.told == 0 && strings.Contains(p.body, value) {
				out.told = p.at.Sub(began)
			}
		case e := <-w.ResultChan():
			if out.record == 0 && recorded(e.Object, value) {
				out.record = time.Since(began)
			}
		}
	}
	_, _, err = n.edit(ctx, fromGit)
	return out, err
}

// recorded tells whether an object is the records of the Sync, with a value in them.
func recorded(o any, value string) bool {
	m, is := o.(*corev1.ConfigMap)
	return is && m.Name == driftSync+"-drift" && strings.Contains(m.Data["records.json"], value)
}

// alerts measures with the policy that only tells.
func (n *night) alerts(ctx context.Context, f *driftFigures) error {
	var records, told []time.Duration
	err := n.everySoOften(ctx, editEvery, n.rounds, func(int) error {
		s, err := n.alert(ctx)
		records, told = append(records, s.record), append(told, s.told)
		return err
	})
	f.Detected, f.Told = timesOf(records), timesOf(told)
	return err
}

// corrections measures with the policy that puts back, and has people told again afterwards.
func (n *night) corrections(ctx context.Context, f *driftFigures) error {
	policy := func(p schema.DriftPolicy) error {
		text, err := json.Marshal(map[string]any{"spec": map[string]any{"drift": map[string]any{"policy": p}}})
		if err != nil {
			return err
		}
		return n.Patch(ctx, n.sync, client.RawPatch(types.MergePatchType, bytes.TrimSpace(text)))
	}
	if err := policy(schema.DriftCorrect); err != nil {
		return err
	}
	if _, err := n.corrected(ctx); err != nil { // the policy counts
		return err
	}
	var all []time.Duration
	err := n.everySoOften(ctx, editEvery, n.rounds, func(int) error {
		took, err := n.corrected(ctx)
		all = append(all, took)
		return err
	})
	if f.Corrected = timesOf(all); err != nil {
		return err
	}
	return policy(schema.DriftAlert)
}

// corrected edits a route, and gives how long it took until it was Git's again.
func (n *night) corrected(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value := n.next()
	w, err := n.watch(ctx, &gwv1.HTTPRouteList{}, driftRoute(n.edited%n.drifting))
	if err != nil {
		return 0, err
	}
	defer w.Stop()
	name, began, err := n.edit(ctx, value)
	if err != nil {
		return 0, err
	}
	edited := false
	for {
		select { // the end; a route
		case <-ctx.Done():
			return 0, fmt.Errorf("waiting for %s to be put back: %w", name, ctx.Err())
		case e := <-w.ResultChan():
			r, is := e.Object.(*gwv1.HTTPRoute)
			if !is || r.Name != name || r.Spec.Rules[0].Timeouts == nil {
				continue
			}
			switch got := string(*r.Spec.Rules[0].Timeouts.Request); {
			case got == value:
				edited = true
			case edited && got == fromGit:
				return time.Since(began), nil
			}
		}
	}
}

// text has a row for each figure.
func (f *driftFigures) text() string {
	if f == nil {
		return ""
	}
	spread := func(t times) string { return fmt.Sprintf("%.0f (%.0f)", t.P50, t.P99) }
	var b strings.Builder
	fmt.Fprintf(&b, "\n| drift with %d owned objects | ms p50 (p99) |\n|---|---|\n", f.Objects)
	fmt.Fprintf(&b, "| edit → there is a record | %s |\n", spread(f.Detected))
	fmt.Fprintf(&b, "| edit → the Alertmanager has it | %s |\n", spread(f.Told))
	fmt.Fprintf(&b, "| edit → put back | %s |\n", spread(f.Corrected))
	fmt.Fprintf(&b, "\nA Sync of %d objects, all watched, costs %.0f MiB and %.3f cores while nothing happens\n", f.Watched, f.Memory, f.Idle)
	return b.String()
}
