//go:build cluster

package controller

import (
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
	"sort"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/agent/drift"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

const cartSpec = `apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: cart}
spec:
  hosts: [cart.example.com]
  port: 8080
  routes:
  - path: /
    timeout: 10s
`

// night is the story of three in the morning: a Sync whose alerts go to a real Alertmanager, and somebody with kubectl.
type night struct {
	*world
	alertmanager string
	sync         *schema.Sync
}

// kubectl edits the timeout of the route.
func (n *night) kubectl(timeout string) time.Time {
	n.Helper()
	began := time.Now()
	n.tool("kubectl", "patch", "httproute", "cart", "-n", n.namespace, "--field-manager=kubectl-edit", "--type=json",
		"-p", `[{"op":"replace","path":"/spec/rules/0/timeouts/request","value":"`+timeout+`"}]`)
	return began
}

// policy changes what the Sync says about drift.
func (n *night) policy(d schema.SyncDrift) {
	n.Helper()
	n.until("the policy is changed", func(ctx context.Context) error {
		var s schema.Sync
		if err := n.Get(ctx, client.ObjectKeyFromObject(n.sync), &s); err != nil {
			return err
		}
		s.Spec.Drift = &d
		return n.Update(ctx, &s)
	})
}

// snapshot is what is kept in the cluster.
func (n *night) snapshot() (drift.Snapshot, error) {
	var m corev1.ConfigMap
	var s drift.Snapshot
	err := n.Get(n.Context(), client.ObjectKey{Namespace: n.namespace, Name: DriftConfigMap(n.sync.Name)}, &m)
	if apierrors.IsNotFound(err) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(m.Data[DriftRecords]), &s)
}

// latest waits until the latest record is as wanted.
func (n *night) latest(what string, ok func(drift.Record) bool) {
	n.Helper()
	n.until(what, func(context.Context) error {
		s, err := n.snapshot()
		if err != nil || len(s.Records) == 0 {
			return errors.Join(err, errors.New("there is no record"))
		}
		if !ok(s.Records[0]) {
			return fmt.Errorf("it is %+v", s.Records[0])
		}
		return nil
	})
}

// active waits until the Alertmanager shows as many alerts of the Sync as active, and gives their summaries.
func (n *night) active(want int) []string {
	n.Helper()
	var out []string
	n.until(fmt.Sprintf("%d alerts are active", want), func(ctx context.Context) error {
		var alerts []struct{ Labels, Annotations map[string]string }
		body, err := fetch(ctx, n.alertmanager+"/api/v2/alerts?active=true")
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, &alerts); err != nil {
			return err
		}
		out = nil
		for _, a := range alerts {
			if a.Labels["sync"] == n.namespace+"/"+n.sync.Name {
				out = append(out, a.Annotations["summary"]+"\n"+a.Annotations["description"])
			}
		}
		if len(out) != want {
			return fmt.Errorf("there are %q", out)
		}
		return nil
	})
	return out
}

func (n *night) timeout(want string) {
	n.Helper()
	n.until("the timeout is "+want, func(context.Context) error {
		r, err := n.route("cart")
		if err != nil {
			return err
		}
		if got := string(*r.Spec.Rules[0].Timeouts.Request); got != want {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}

// TestClusterDrift is three in the morning, with each policy.
func TestClusterDrift(t *testing.T) {
	n := &night{world: newWorld(t, "headgate-drift-test"), alertmanager: startAlertmanager(t)}
	repo := n.repository()
	first := repo.commit("Begin", "cart.yaml", cartSpec, "other.yaml", spec("other", "other.example.com"),
		"secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: hunter2}\n")
	n.start(Options{NotifyLocal: true, Cluster: "prod"})
	n.sync = repo.sync("shop", func(s *schema.SyncSpec) {
		s.Notify = []schema.SyncNotify{{Name: "on-call", Type: schema.NotifyAlertmanager, URL: n.alertmanager}}
	})
	n.ready(n.sync, first)

	// It is told, once, with who did it, and with the line.
	n.kubectl("60s")
	alert := n.active(1)[0]
	for _, part := range []string{"spec.rules", "10s (Git, cart.yaml:9) → 60s (live)", "kubectl-edit", "headgate drift correct HTTPRoute/" + n.namespace + "/cart", "cluster prod"} {
		if !strings.Contains(alert, part) {
			t.Errorf("the alert lacks %q: %s", part, alert)
		}
	}
	n.until("the status counts it", func(ctx context.Context) error {
		var s schema.Sync
		if err := n.Get(ctx, client.ObjectKeyFromObject(n.sync), &s); err != nil {
			return err
		}
		if d := s.Status.Drift; d == nil || d.Open != 1 || d.Objects != 1 || d.Alerts != 1 {
			return fmt.Errorf("it is %+v", s.Status.Drift)
		}
		return nil
	})
	before, err := n.snapshot()
	n.must(err)
	// Headgate ends and begins again: it is the same record and the same alert.
	n.stop()
	n.start(Options{NotifyLocal: true, Cluster: "prod"})
	n.until("the agent has looked", func(context.Context) error { return n.followed(n.sync.Name) })
	if after, err := n.snapshot(); err != nil || len(after.Records) != 1 || !after.Records[0].Opened.Equal(before.Records[0].Opened) || len(after.Told) != 1 {
		t.Errorf("after a restart: %+v, %v", after, err)
	}
	n.active(1)
	n.kubectl("10s")
	n.active(0)
	n.latest("it is resolved", func(r drift.Record) bool { return r.Reason == drift.Reverted })

	// It is put back.
	n.policy(schema.SyncDrift{Policy: schema.DriftCorrect})
	n.until("the policy counts", func(context.Context) error {
		return n.follows(func(f *follower) bool { return f.sync.Spec.Drift != nil })
	})
	n.kubectl("70s")
	n.timeout("10s")
	n.latest("it is put back", func(r drift.Record) bool { return r.Reason == drift.Corrected && r.By[0].Manager == "kubectl-edit" })
	n.tool("kubectl", "delete", "httproute", "other", "-n", n.namespace)
	n.until("it is made again", func(context.Context) error { _, err := n.route("other"); return err })
	n.tool("kubectl", "patch", "secret", "db", "-n", n.namespace, "--type=merge", "-p", `{"data":{"password":"aHVudGVyMw=="}}`)
	n.latest("the Secret is put back", func(r drift.Record) bool {
		return r.Object.Kind == "Secret" && r.Reason == drift.Corrected && r.From == drift.Mask
	})
	n.active(0)

	// It is ignored.
	n.policy(schema.SyncDrift{Policy: schema.DriftIgnore})
	n.until("the policy counts", func(context.Context) error {
		return n.follows(func(f *follower) bool { return f.sync.Spec.Drift.Policy == schema.DriftIgnore })
	})
	n.kubectl("80s")
	n.latest("it is recorded", func(r drift.Record) bool { return r.Open() && r.Do == drift.Ignore && r.To == `"80s"` })
	n.timeout("80s")
	n.active(0)

	// What Git does not want any more is no drift when it goes; and with the Sync everything is over.
	second := repo.commit("Close the other", "other.yaml", "")
	n.ready(n.sync, second)
	n.policy(schema.SyncDrift{Policy: schema.DriftAlert})
	n.active(1)
	n.must(n.Delete(n.Context(), n.sync))
	n.active(0)
	if strings.Contains(n.log.String(), "hunter") || strings.Contains(n.log.String(), "aHVudGVy") {
		t.Error("a secret is in the log")
	}
}

// follows tells whether something holds for the follower of the Sync.
func (n *night) follows(ok func(*follower) bool) error {
	d := n.agent.drifts
	d.mu.Lock()
	f := d.followers[plan.Owner{Namespace: n.namespace, Name: n.sync.Name}]
	d.mu.Unlock()
	if f == nil {
		return errors.New("it is not followed")
	}
	is := false
	f.wait(func() { is = ok(f) })
	if !is {
		return errors.New("not yet")
	}
	return nil
}

// followed tells whether everything that the Sync owns was seen and compared.
func (n *night) followed(string) error {
	return n.follows(func(f *follower) bool {
		return len(f.state.Owned()) > 0 && len(f.state.Unknown()) == 0 && len(f.watches) > 0
	})
}

// TestClusterNoFalseDrift compares a thousand times all kinds of objects that the examples render to, and more, under a webhook that changes what is applied and
// while others write what is theirs: there is no record. It also says how long an edit takes until it is put back.
func TestClusterNoFalseDrift(t *testing.T) {
	n := &night{world: newWorld(t, "headgate-resync-test")}
	n.mutate()
	repo := n.repository()
	files := append([]string{"cart.yaml", cartSpec, "rest.yaml", manyKinds}, n.examples()...)
	first := repo.commit("Begin", files...)
	n.start(Options{})
	n.sync = repo.sync("shop", func(s *schema.SyncSpec) { s.Drift = &schema.SyncDrift{Policy: schema.DriftCorrect} })
	n.ready(n.sync, first)
	n.until("everything is known", func(context.Context) error { return n.followed("shop") })
	if r, err := n.route("cart"); err != nil || r.Annotations["night.example.com/seen"] != "yes" {
		t.Errorf("the webhook changed nothing: %v, %v", r.Annotations, err)
	}
	for i := range 10 {
		n.must(n.follows(func(f *follower) bool { f.rewatch(); return true }))
		if i%5 == 0 {
			n.tool("kubectl", "annotate", "httproute", "cart", "-n", n.namespace, "--overwrite", fmt.Sprintf("example.com/a=%d", i))
			n.tool("kubectl", "annotate", "deployment", "web", "-n", n.namespace, "--overwrite", fmt.Sprintf("example.com/a=%d", i))
		}
		n.until("everything is known again", func(context.Context) error { return n.followed("shop") })
	}
	n.compare(1000)
	n.stop()
	n.start(Options{})
	n.until("everything is known after a restart", func(context.Context) error { return n.followed("shop") })
	n.compare(10)
	if s, err := n.snapshot(); err != nil || len(s.Records) > 0 || len(s.Told) > 0 {
		t.Errorf("there is drift: %+v, %v", s, err)
	}
	n.until("there is none", func(context.Context) error {
		return n.follows(func(f *follower) bool { return len(f.state.Snapshot().Records) == 0 })
	})
	var took []time.Duration
	for i := range 4 {
		began := n.kubectl(fmt.Sprintf("%ds", 20+i))
		n.timeout("10s")
		took = append(took, time.Since(began))
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	t.Logf("from the start of kubectl until it is put back: %s", took)
}

// manyKinds are objects with defaults, quantities and lists in them.
const manyKinds = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: http
        image: example.invalid/web
        args: [serve]
        env: [{name: B, value: b}, {name: A, value: a}]
        ports: [{containerPort: 8080}, {containerPort: 53, protocol: UDP}]
        resources: {requests: {cpu: 1000m, memory: 1024Mi}, limits: {cpu: "2"}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: token}
stringData: {token: hunter2}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{ports: [{port: 8080}]}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: web}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}]
  to: [{group: "", kind: Service}]
`

// startAlertmanager starts an Alertmanager on a free port of loopback, and gives its address.
func startAlertmanager(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Fatal("there is no prometheus-alertmanager; make cluster-deps installs it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(config, []byte("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config.file="+config, "--storage.path="+dir, "--web.listen-address="+address, "--cluster.listen-address=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return "http://" + address
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}
