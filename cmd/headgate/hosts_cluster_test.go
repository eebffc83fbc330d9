//go:build cluster

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/lab"
	"headgate.dev/schema"
)

const (
	teamA = "headgate-sync-team-a"
	teamB = "headgate-sync-team-b"
)

const grantingGateway = `apiVersion: headgate.dev/v1alpha1
kind: GatewaySpec
metadata: {name: public}
spec:
  class: ` + syncNamespace + `
  hosts:
  - {host: shop.example.com, namespaces: [` + teamA + `]}
  - {host: "*.example.com", namespaces: all}
`

// rawRoute is a route as somebody writes it who knows Gateway API.
func rawRoute(name, host, path string) string {
	return fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: %s}\nspec:\n"+
		"  parentRefs: [{name: public, namespace: %s}]\n  hostnames: [%s]\n  rules:\n"+
		"  - matches: [{path: {value: %s}}]\n    filters: [{type: RequestRedirect, requestRedirect: {statusCode: 302}}]\n", name, syncNamespace, host, path)
}

// team is a Sync with a repository of its own.
type team struct {
	*testing.T
	client.Client
	sync *schema.Sync
	repo *lab.Repo
}

func newTeam(t *testing.T, c client.Client, namespace string, files map[string]string) *team {
	t.Helper()
	repo := newRepo(t, files)
	url, _ := serveGit(t, filepath.Dir(repo.Dir), "127.0.0.1:0")
	s := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"}}
	s.Spec = schema.SyncSpec{URL: url + "/repo/.git", Interval: "1s", ServiceAccountName: "deployer", Gateway: syncNamespace + "/public"}
	must(t, c.Create(t.Context(), s))
	return &team{t, c, s, repo}
}

func (x *team) commit(file, content string) {
	x.Helper()
	must(x, x.repo.Write(file, content))
	_, err := x.repo.Commit("Change " + file)
	must(x, err)
}

// says waits until a condition of the commit that is the newest has a reason, and gives its message.
func (x *team) says(kind, reason string) (message string) {
	x.Helper()
	hash, err := x.repo.Git("rev-parse", "HEAD")
	must(x, err)
	becomes(x.T, fmt.Sprintf("%s of %s is %s", kind, x.sync.Namespace, reason), func(ctx context.Context) error {
		if err := x.Get(ctx, client.ObjectKeyFromObject(x.sync), x.sync); err != nil {
			return err
		}
		c := meta.FindStatusCondition(x.sync.Status.Conditions, kind)
		if c == nil || c.Reason != reason || c.ObservedGeneration != x.sync.Generation || !strings.HasSuffix(x.sync.Status.AttemptedRevision, hash) {
			return fmt.Errorf("it is %+v", x.sync.Status)
		}
		message = c.Message
		return nil
	})
	return message
}

func (x *team) has(text string, parts ...string) {
	x.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			x.Errorf("%q is not in %q", part, text)
		}
	}
}

func (x *team) route(name string) (*gwv1.HTTPRoute, error) {
	r := &gwv1.HTTPRoute{}
	err := x.Get(x.Context(), client.ObjectKey{Namespace: x.sync.Namespace, Name: name}, r)
	return r, err
}

// TestClusterHosts: a host has an owner. What one Sync serves another one cannot claim, by spec or by raw route, before or after; what a GatewaySpec gives to
// one team another one does not get, and is told the rule.
func TestClusterHosts(t *testing.T) {
	c, host := syncWorld(t)
	for _, namespace := range []string{teamA, teamB} {
		syncTeam(t, c, namespace)
	}
	startSyncController(t, host, syncNamespace, teamA, teamB)
	platform := newTeam(t, c, syncNamespace, map[string]string{"public.yaml": grantingGateway})
	platform.says(schema.SyncReady, agent.ReasonApplied)
	a := newTeam(t, c, teamA, map[string]string{
		"shop.yaml": spec("shop", "shop.example.com, both.example.com", "  - {path: /cart, redirect: {path: /one}}\n"),
	})
	a.says(schema.SyncLive, agent.ReasonLive)
	before, err := a.route("shop")
	must(t, err)

	// By spec: the commit is refused as a whole.
	b := newTeam(t, c, teamB, map[string]string{
		"own.yaml":  spec("own", "own.example.com", "  - {redirect: {path: /one}}\n"),
		"copy.yaml": spec("copy", "both.example.com", "  - {path: /own, redirect: {path: /one}}\n  - {path: /cart, redirect: {path: /two}}\n"),
	})
	text := b.says(schema.SyncReady, agent.ReasonPolicy)
	b.has(text, "copy.yaml:9:5: ", "HTTPRoute "+teamB+"/copy of Sync "+teamB+"/shop", "both.example.com /cart of Gateway "+syncNamespace+"/public",
		"HTTPRoute "+teamA+"/shop of Sync "+teamA+"/shop", "spec.conflicts")
	if strings.Contains(text, "/own of") {
		t.Errorf("what nobody else has is named: %s", text)
	}
	if _, err := b.route("own"); err == nil {
		t.Error("a part of the commit was applied")
	}
	// By raw route.
	must(t, b.repo.Write("copy.yaml", ""))
	b.commit("raw.yaml", rawRoute("raw", "both.example.com", "/cart"))
	b.has(b.says(schema.SyncReady, agent.ReasonPolicy), "raw.yaml:8:5: ", "HTTPRoute "+teamB+"/raw of Sync "+teamB+"/shop", "Sync "+teamA+"/shop")
	if now, err := a.route("shop"); err != nil || now.ResourceVersion != before.ResourceVersion && now.Generation != before.Generation {
		t.Errorf("the first owner's route was touched: %v", err)
	}

	// A host that the GatewaySpec gave to another, by spec and by raw route.
	b.commit("raw.yaml", rawRoute("raw", "shop.example.com", "/mine"))
	rule := []string{"NotAllowedByListeners", "host shop.example.com of Gateway " + syncNamespace + "/public belongs to listener http.shop.example.com",
		"HTTPRoutes and GRPCRoutes from namespaces " + teamA}
	b.has(b.says(schema.SyncLive, agent.ReasonRefused), append(rule, "raw.yaml:1:1", "HTTPRoute "+teamB+"/raw")...)
	b.has(b.says(schema.SyncReady, agent.ReasonUnhealthy), append(rule, "raw.yaml:1:1")...)
	must(t, b.repo.Write("raw.yaml", ""))
	b.commit("thief.yaml", spec("thief", "shop.example.com", "  - {path: /mine, redirect: {path: /one}}\n"))
	b.has(b.says(schema.SyncLive, agent.ReasonRefused), append(rule, "thief.yaml:", "HTTPRoute "+teamB+"/thief")...)

	// The platform gives the host to both: the same commit is live.
	platform.commit("public.yaml", strings.Replace(grantingGateway, "["+teamA+"]", "["+teamA+", "+teamB+"]", 1))
	b.says(schema.SyncLive, agent.ReasonLive)
	b.says(schema.SyncReady, agent.ReasonApplied)

	// A Sync that says so takes over without a gap: its route waits behind the other's, which goes first as long as it is there.
	must(t, b.repo.Write("thief.yaml", ""))
	b.commit("copy.yaml", spec("copy", "both.example.com", "  - {path: /cart, redirect: {path: /two}}\n"))
	b.says(schema.SyncReady, agent.ReasonPolicy)
	becomes(t, "the Sync only warns", func(ctx context.Context) error {
		return errors.Join(c.Get(ctx, client.ObjectKeyFromObject(b.sync), b.sync), func() error { b.sync.Spec.Conflicts = schema.ConflictsWarn; return c.Update(ctx, b.sync) }())
	})
	b.has(b.says(schema.SyncReady, agent.ReasonApplied), "conflict: ", "both.example.com /cart", teamA+"/shop")
	for _, x := range []*team{a, b} {
		must(t, c.Delete(t.Context(), x.sync))
	}
}
