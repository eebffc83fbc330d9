package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/cmd/internal/lab"
	"headgate.dev/schema"
)

// commits is what was measured of a Sync with a number of routes.
type commits struct {
	Routes int `json:"routes"`
	// First is from the creation of the Sync to live, in seconds.
	First float64 `json:"secondsToFirstLive"`
	// Applied is from the webhook to the changed route in the API, Answer to the first changed answer of Envoy, Live to the status that says so.
	Applied times `json:"webhookToApi"`
	Answer  times `json:"webhookToFirstAnswer"`
	Live    times `json:"webhookToLiveStatus"`
	// Idle is how many requests the Git host got in ten seconds of a Sync that looks each second, when nothing was new.
	Idle       int64   `json:"gitRequestsIn10Seconds"`
	Controller float64 `json:"controllerMemory"`
	Most       float64 `json:"controllerMemoryMax"`
}

const (
	syncRounds = 10
	hookSecret = "bench-hook-0123456789"
)

// gitHost is a repository on this machine that the controller follows.
type gitHost struct {
	*cluster
	repo     *lab.Repo
	url      string
	requests atomic.Int64
	sync     *schema.Sync
	hook     string
}

// measureSyncs follows a repository of each size, one after the other.
func (c *cluster) measureSyncs(ctx context.Context, r *report) error {
	for _, n := range c.syncs {
		say("a Sync of %d routes", n)
		s := &commits{Routes: n}
		r.Syncs = append(r.Syncs, s)
		if err := c.measureSync(ctx, s); err != nil {
			return fmt.Errorf("with %d routes: %w", n, err)
		}
	}
	return nil
}

func (c *cluster) measureSync(ctx context.Context, s *commits) (err error) {
	dir, err := os.MkdirTemp("", "headgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g := &gitHost{cluster: c}
	if err := g.serve(ctx, dir); err != nil {
		return err
	}
	if err := g.fill(s.Routes); err != nil {
		return err
	}
	if err := g.first(ctx, s); err != nil {
		return fmt.Errorf("the first commit: %w", err)
	}
	if err := g.changes(ctx, s); err != nil {
		return fmt.Errorf("changing a line: %w", err)
	}
	if err := g.idle(ctx, s); err != nil {
		return fmt.Errorf("changing nothing: %w", err)
	}
	p, err := c.controller(ctx)
	if err != nil {
		return err
	}
	if s.Controller, s.Most, err = p.memory(); err != nil {
		return err
	}
	return g.remove(ctx)
}

// serve makes an empty repository and serves it over HTTP.
func (g *gitHost) serve(ctx context.Context, dir string) (err error) {
	if g.repo, err = lab.NewRepo(filepath.Join(dir, "repo")); err != nil {
		return err
	}
	path, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return fmt.Errorf("looking for git: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(g.host, "0"))
	if err != nil {
		return err
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"), Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}
	g.url = "http://" + l.Addr().String() + "/repo/.git"
	go func() { // ends with the program
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			g.requests.Add(1)
			backend.ServeHTTP(w, q)
		}))
	}()
	return nil
}

func syncedHost(i int) string { return fmt.Sprintf("s-%05d.sync.example", i) }

// write saves the spec of a route that answers with a redirect to a version.
func (g *gitHost) write(i, version int) error {
	return g.repo.Write(fmt.Sprintf("d%02d/s-%05d.yaml", i%50, i), fmt.Sprintf("apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: s-%05d}\n"+
		"spec:\n  hosts: [%s]\n  routes:\n  - redirect: {path: /v%d, code: 302}\n", i, syncedHost(i), version))
}

func (g *gitHost) fill(n int) error {
	for i := range n {
		if err := g.write(i, 0); err != nil {
			return err
		}
	}
	_, err := g.repo.Commit("Begin")
	return err
}

// first makes the Sync, and waits until all of it is live.
func (g *gitHost) first(ctx context.Context, s *commits) error {
	account := &corev1.ServiceAccount{ObjectMeta: at("deployer")}
	binding := &rbacv1.RoleBinding{ObjectMeta: at("deployer"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "deployer"}}}
	secret := &corev1.Secret{ObjectMeta: at("hook"), StringData: map[string]string{"token": hookSecret}}
	for _, o := range []client.Object{account, binding, secret} {
		if err := client.IgnoreAlreadyExists(g.Create(ctx, o)); err != nil {
			return err
		}
	}
	g.sync = &schema.Sync{ObjectMeta: at("bench"), Spec: schema.SyncSpec{
		URL: g.url, Ref: &schema.SyncRef{Branch: "main"}, Interval: "1h", ServiceAccountName: "deployer", Gateway: namespace + "/" + gatewayName,
		Forge: &schema.SyncForge{Kind: schema.ForgeGeneric, HookSecretRef: &schema.SyncSecret{Name: "hook"}},
	}}
	start := time.Now()
	if err := g.Create(ctx, g.sync); err != nil {
		return err
	}
	hash, err := g.repo.Git("rev-parse", "HEAD")
	if err != nil {
		return err
	}
	if err := g.live(ctx, hash); err != nil {
		return err
	}
	s.First = time.Since(start).Seconds()
	pod, err := g.pod(ctx, systemNamespace, client.MatchingLabels{"app.kubernetes.io/component": "controller"})
	if err != nil {
		return err
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == "webhook" && g.sync.Status.Forge != nil {
				g.hook = "http://" + net.JoinHostPort(pod.Status.PodIP, fmt.Sprint(port.ContainerPort)) + g.sync.Status.Forge.HookPath
			}
		}
	}
	if g.hook == "" {
		return fmt.Errorf("there is no webhook: %+v", g.sync.Status.Forge)
	}
	return nil
}

// live waits until the status says that a commit is live.
func (g *gitHost) live(ctx context.Context, hash string) error {
	return until(ctx, patience, func() error {
		if err := g.Get(ctx, client.ObjectKeyFromObject(g.sync), g.sync); err != nil {
			return err
		}
		l := g.sync.Status.Live
		if l == nil || !strings.HasSuffix(l.Revision, hash) || !meta.IsStatusConditionTrue(g.sync.Status.Conditions, schema.SyncLive) {
			return fmt.Errorf("the status is %+v", g.sync.Status)
		}
		return nil
	})
}

// changes changes one line at a time, tells by webhook, and waits for what becomes of it.
func (g *gitHost) changes(ctx context.Context, s *commits) error {
	var applied, answered, live []time.Duration
	for round := range syncRounds {
		i := round % s.Routes
		if err := g.write(i, round+1); err != nil {
			return err
		}
		hash, err := g.repo.Commit(fmt.Sprintf("Change %d", i))
		if err != nil {
			return err
		}
		want := fmt.Sprintf("/v%d", round+1)
		start := time.Now()
		if err := g.tell(ctx, hash); err != nil {
			return err
		}
		type arrival struct {
			after time.Duration
			err   error
		}
		in := make(chan arrival, 1)
		go func() {
			err := until(ctx, patience, func() error { return g.has(ctx, fmt.Sprintf("s-%05d", i), want) })
			in <- arrival{time.Since(start), err}
		}()
		if err := until(ctx, patience, func() error { return redirected(ctx, g.address, syncedHost(i), want) }); err != nil {
			return err
		}
		answered = append(answered, time.Since(start))
		there := <-in
		if there.err != nil {
			return there.err
		}
		applied = append(applied, there.after)
		if err := g.live(ctx, hash); err != nil {
			return err
		}
		live = append(live, time.Since(start))
	}
	s.Applied, s.Answer, s.Live = timesOf(applied), timesOf(answered), timesOf(live)
	return nil
}

// tell sends the webhook of a push.
func (g *gitHost) tell(ctx context.Context, hash string) error {
	body, err := json.Marshal(map[string]any{"ref": "refs/heads/main", "after": hash})
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, g.hook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	q.Header.Set("X-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	q.Header.Set("Content-Type", "application/json")
	res, err := visitor.Do(q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode > 299 {
		return fmt.Errorf("the webhook was answered with %s", res.Status)
	}
	return nil
}

// has tells whether a route of the cluster leads to a path.
func (g *gitHost) has(ctx context.Context, name, path string) error {
	r := &gwv1.HTTPRoute{ObjectMeta: at(name)}
	if err := g.Get(ctx, client.ObjectKeyFromObject(r), r); err != nil {
		return err
	}
	for _, rule := range r.Spec.Rules {
		for _, f := range rule.Filters {
			if f.RequestRedirect != nil && f.RequestRedirect.Path != nil && f.RequestRedirect.Path.ReplaceFullPath != nil && *f.RequestRedirect.Path.ReplaceFullPath == path {
				return nil
			}
		}
	}
	return fmt.Errorf("%s does not lead to %s", name, path)
}

// redirected tells whether the Gateway sends a visitor of a host to a path.
func redirected(ctx context.Context, address, host, path string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err
	}
	q.Host = host
	res, err := visitor.Transport.RoundTrip(q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if to := res.Header.Get("Location"); !strings.HasSuffix(to, path) {
		return fmt.Errorf("%s: %s to %q", host, res.Status, to)
	}
	return nil
}

// idle counts what a Sync asks of the Git host when nothing is new.
func (g *gitHost) idle(ctx context.Context, s *commits) error {
	if err := change(ctx, g.cluster, g.sync, func(s *schema.Sync) { s.Spec.Interval = "1s" }); err != nil {
		return err
	}
	hash, err := g.repo.Git("rev-parse", "HEAD")
	if err != nil {
		return err
	}
	if err := g.live(ctx, hash); err != nil {
		return err
	}
	before := g.requests.Load()
	select {
	case <-time.After(10 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.Idle = g.requests.Load() - before
	return nil
}

// remove deletes the Sync and waits until it is gone, with what it owned.
func (g *gitHost) remove(ctx context.Context) error {
	if err := g.Delete(ctx, g.sync); err != nil {
		return err
	}
	return until(ctx, 5*patience, func() error {
		err := g.Get(ctx, client.ObjectKeyFromObject(g.sync), g.sync)
		if client.IgnoreNotFound(err) == nil && err != nil {
			return nil
		}
		return errors.Join(err, errors.New("the Sync is still there"))
	})
}
