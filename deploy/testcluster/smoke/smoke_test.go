//go:build cluster

// Package smoke tests the test cluster itself: `make test-cluster` runs it, before the tests of the product.
package smoke

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate.dev/deploy/testcluster/internal/cluster"
	"headgate.dev/deploy/testcluster/internal/image"
)

const (
	namespace = "testcluster-smoke"
	ref       = "headgate.local/smoke-echo:1"
)

// tool runs testcluster and returns what it prints.
func tool(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	binary := os.Getenv("HEADGATE_TESTCLUSTER")
	if binary == "" {
		binary = "../../../bin/testcluster"
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("testcluster %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

func must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := tool(t, stdin, args...)
	if err != nil {
		t.Fatalf("%v (is the cluster up? make cluster-up)", err)
	}
	return out
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return must(t, "", append([]string{"kubectl"}, args...)...)
}

// eventually tries until f succeeds, for at most a minute.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-limit:
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

func status(t *testing.T) cluster.Status {
	t.Helper()
	out, _ := tool(t, "", "status", "-o", "json") // fails where something is not ready, and says so in the answer
	var s cluster.Status
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("testcluster status: %v: %s", err, out)
	}
	return s
}

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func get(address string) (string, error) {
	response, err := client.Get(address)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return strings.TrimSpace(string(body)), err
}

// loadEcho builds the workload and loads its image.
func loadEcho(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	echo := filepath.Join(dir, "echo")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", echo, "./echo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building echo: %v\n%s", err, out)
	}
	archive := filepath.Join(dir, "echo.tar")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	err = image.Write(f, image.Image{Ref: ref, Entrypoint: []string{"/echo"}, Files: map[string]string{"/echo": echo}, User: "65532:65532"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, "", "load-image", archive)
	// A name that the archive has already changes nothing: the pods below start.
	must(t, "", "load-image", "--name", ref, archive)
}

const manifest = `
apiVersion: v1
kind: Namespace
metadata: {name: testcluster-smoke}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: testcluster-smoke}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: echo
        image: headgate.local/smoke-echo:1
        imagePullPolicy: Never
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: testcluster-smoke}
spec:
  type: LoadBalancer
  ipFamilyPolicy: PreferDualStack
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
`

func TestCluster(t *testing.T) {
	s := status(t)
	if s.State != "ready" {
		t.Fatalf("the cluster is %s: %s; run make cluster-up", s.State, s.Reason)
	}
	loadEcho(t)
	kubectl(t, "delete", "namespace", namespace, "--ignore-not-found", "--wait")
	must(t, manifest, "kubectl", "apply", "-f", "-")
	kubectl(t, "-n", namespace, "rollout", "status", "deployment/echo", "--timeout=60s")
	kubectl(t, "-n", namespace, "wait", "service/echo", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}", "--timeout=30s")
	addresses := strings.Fields(kubectl(t, "-n", namespace, "get", "service", "echo", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}"))
	clusterIPs := strings.Fields(strings.NewReplacer(`"`, " ", "[", "", "]", "", ",", "").Replace(
		kubectl(t, "-n", namespace, "get", "service", "echo", "-o", "jsonpath={.spec.clusterIPs}")))
	if len(addresses) != len(clusterIPs) {
		t.Fatalf("addresses %v for the Service %v, want one a family", addresses, clusterIPs)
	}
	entry := "http://" + addresses[0]

	t.Run("LoadBalancer answers the host from every pod", func(t *testing.T) {
		seen := map[string]bool{}
		eventually(t, entry, func() error {
			body, err := get(entry)
			name, _, _ := strings.Cut(body, " ")
			seen[name] = true
			if err == nil && len(seen) < 2 {
				err = fmt.Errorf("only %v answered", seen)
			}
			return err
		})
	})
	t.Run("every address of every family answers the host", func(t *testing.T) {
		var all []string
		for _, pod := range strings.Fields(kubectl(t, "-n", namespace, "get", "pods", "-l", "app=echo", "-o", "jsonpath={.items[*].status.podIPs[*].ip}")) {
			all = append(all, net.JoinHostPort(pod, "8080"))
		}
		for _, ip := range append(clusterIPs, addresses...) {
			all = append(all, net.JoinHostPort(ip, "80"))
		}
		for _, at := range all {
			if body, err := get("http://" + at); err != nil || !strings.HasPrefix(body, "echo-") {
				t.Errorf("%s: %q, %v", at, body, err)
			}
		}
	})
	t.Run("DNS", func(t *testing.T) { resolves(t, entry, clusterIPs) })
	t.Run("a pod reaches the host, and its own Service", func(t *testing.T) { reaches(t, entry, s.Host, clusterIPs) })
	t.Run("logs", func(t *testing.T) {
		if out := kubectl(t, "-n", namespace, "logs", "deployment/echo"); !strings.Contains(out, "listening on :8080") {
			t.Errorf("got %q", out)
		}
	})
	t.Run("exec is inside", func(t *testing.T) {
		if out := must(t, "", "exec", "--", "ip", "-brief", "address", "show", "eth0"); !strings.Contains(out, s.Node+"/24") {
			t.Errorf("eth0 has %q, want %s", out, s.Node)
		}
	})
	t.Run("a daemon that ends is started again", func(t *testing.T) { heals(t, "kube-scheduler") })
	kubectl(t, "delete", "namespace", namespace, "--wait")
}

func resolves(t *testing.T, entry string, clusterIPs []string) {
	for _, name := range []string{"echo", "echo." + namespace, "echo." + namespace + ".svc.cluster.local"} {
		if got, err := get(entry + "/lookup?name=" + name); err != nil || !same(strings.Fields(got), clusterIPs) {
			t.Errorf("%s: %q, %v; want %s", name, got, err, clusterIPs)
		}
	}
	if got, err := get(entry + "/lookup?name=nothing.example"); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("a name beyond the cluster: %q, %v; want no such host, at once", got, err)
	}
}

func reaches(t *testing.T, entry, hosts string, clusterIPs []string) {
	host, _, _ := strings.Cut(hosts, ",")
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the host") })}
	go server.Serve(l) //nolint:errcheck // ends with Close
	defer server.Close()
	if got, err := get(entry + "/fetch?url=" + url.QueryEscape("http://"+l.Addr().String())); err != nil || got != "the host" {
		t.Errorf("the host: %q, %v", got, err)
	}
	for range 4 { // half of them come back to the same pod
		at := "http://" + net.JoinHostPort(clusterIPs[len(clusterIPs)-1], "80")
		if got, err := get(entry + "/fetch?url=" + url.QueryEscape(at)); err != nil || !strings.HasPrefix(got, "echo-") {
			t.Errorf("the Service: %q, %v", got, err)
		}
	}
	// 192.0.2.1 is set aside for documentation: nothing answers there, and no way leads there from inside.
	if got, err := get(entry + "/fetch?url=" + url.QueryEscape("http://192.0.2.1")); err == nil {
		t.Errorf("beyond the cluster: got %q, want no way out", got)
	}
}

// same says whether a and b hold the same, in any order.
func same(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func heals(t *testing.T, name string) {
	find := func() cluster.Daemon {
		for _, d := range status(t).Daemons {
			if d.Name == name {
				return d
			}
		}
		t.Fatalf("no daemon %s", name)
		return cluster.Daemon{}
	}
	before := find()
	if err := syscall.Kill(before.HostPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, name, func() error {
		if now := find(); now.State != "running" || now.Restarts != before.Restarts+1 {
			return fmt.Errorf("%+v", now)
		}
		return nil
	})
	must(t, "", "up")
}
