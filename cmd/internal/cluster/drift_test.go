package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/drift"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

var opened = time.Date(2026, 11, 30, 3, 12, 7, 0, time.UTC)

func timeoutDrift() drift.Record {
	return drift.Record{
		Object: object.ID{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: "team-a", Name: "cart"},
		Path:   "spec.rules[0].timeouts.request", Pointer: "/spec/rules/0/timeouts/request", What: drift.Changed, From: `"10s"`, To: `"60s"`,
		By:   []drift.By{{Manager: "kubectl-edit", Operation: "Update", Time: opened}},
		File: "cart.yaml", Line: 8, Do: drift.Alert, Severity: drift.Warning, Opened: opened, Updated: opened, Edits: 1,
	}
}

func shopSync() *schema.Sync {
	return &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop"}, Spec: schema.SyncSpec{Path: "deploy"}}
}

func TestDriftText(t *testing.T) {
	over := timeoutDrift()
	over.Resolved, over.Reason, over.Edits, over.Corrections = opened.Add(28*time.Minute+48*time.Second), drift.Corrected, 3, 2
	got := driftText(drifted{shopSync(), []drift.Record{timeoutDrift(), over}}, opened.Add(time.Minute))
	want := `HTTPRoute team-a/cart · Sync team-a/shop · open since 2026-11-30 03:12:07
  spec.rules[0].timeouts.request  10s (Git, cart.yaml:8) → 60s (live)  by kubectl-edit
  policy: alert · for 1m0s
HTTPRoute team-a/cart · Sync team-a/shop · over
  spec.rules[0].timeouts.request  10s (Git, cart.yaml:8) → 60s (live)  by kubectl-edit
  policy: alert · put back by headgate after 28m48s · 3 edits · put back 2 times
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRefersTo(t *testing.T) {
	r := timeoutDrift()
	for ref, want := range map[string]bool{
		"team-a/cart": true, "HTTPRoute/team-a/cart": true, "httproute/team-a/cart": true, "cart": false, "GRPCRoute/team-a/cart": false, "team-b/cart": false,
	} {
		if refersTo(ref, &r) != want {
			t.Errorf("%s: %v", ref, !want)
		}
	}
}

// TestAdoptIsAPatch applies what adopt prints with git, and reads the file.
func TestAdoptIsAPatch(t *testing.T) {
	dir := t.TempDir()
	const text = `apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: cart}
spec:
  hosts: [cart.example.com]
  port: 8080
  routes:
  - path: /
    timeout: 10s # not 110s
  - {path: /slow, timeout: 30s}
`
	file := filepath.Join(dir, "deploy", "cart.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := driftFlags{dir: dir}
	r := timeoutDrift()
	patch := f.adoption(shopSync(), &r)
	cmd := exec.Command("git", "apply", "--unidiff-zero", "-")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(patch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", patch, err, out)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(text, "timeout: 10s", "timeout: 60s", 1); string(got) != want {
		t.Errorf("got\n%s", got)
	}
	// What cannot be told is said in words.
	for _, c := range []struct {
		change func(*drift.Record)
		want   string
	}{
		{func(r *drift.Record) { r.From = `"11s"` }, "# cart.yaml:8: spec.rules[0].timeouts.request is to say \"60s\"\n"},
		{func(r *drift.Record) { r.File = "../cart.yaml" }, "# ../cart.yaml:8: spec.rules[0].timeouts.request is to say \"60s\"\n"},
		{func(r *drift.Record) { r.What, r.To = drift.Removed, "" }, "# cart.yaml:8: take out spec.rules[0].timeouts.request\n"},
		{func(r *drift.Record) { r.What = drift.Deleted }, "# remove HTTPRoute team-a/cart from cart.yaml:8\n"},
		{func(r *drift.Record) { r.From, r.To = drift.Mask, drift.Mask }, "# cart.yaml:8: spec.rules[0].timeouts.request is to say *****\n"},
	} {
		r := timeoutDrift()
		c.change(&r)
		if got := f.adoption(shopSync(), &r); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
