//go:build cluster

package deploy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	manifests     = "../examples/17-raw-manifests"
	postgresImage = "headgate.local/postgres:1"
	password      = "not-a-secret"
	// largeRows of a kilobyte each are more than 100 MB.
	largeRows = 110_000
)

// postgresServer is what the manifests take for granted: a PostgreSQL and its Service.
const postgresServer = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: my-postgres, namespace: default}
spec:
  selector: {matchLabels: {app: my-postgres}}
  template:
    metadata: {labels: {app: my-postgres}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {fsGroup: 999}
      containers:
      - name: postgres
        image: ` + postgresImage + `
        imagePullPolicy: Never
        args: ["-c", "fsync=off"]
        env: [{name: POSTGRES_PASSWORD, value: ` + password + `}]
        readinessProbe: {tcpSocket: {port: 5432}, periodSeconds: 1}
        volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: my-postgres-postgresql, namespace: default}
spec:
  selector: {app: my-postgres}
  ports: [{port: 5432}]
`

// Manifests that were written for another controller by hand do the same here: HTTP and PostgreSQL, by address.
func TestClusterManifests(t *testing.T) {
	w := newWorld(t)
	w.install()
	w.removeManifests()
	t.Cleanup(func() { w.in(t).removeManifests() })
	w.toolWith(postgresServer, "kubectl", "apply", "-f", "-")
	w.tool("load-postgres", postgresImage)
	w.serviceIn("default", "my-service", w.backend(t, "my-service"))
	t.Run("http", func(t *testing.T) { w.in(t).httpManifest() })
	t.Run("another class", func(t *testing.T) { w.in(t).webManifest() })
	t.Run("postgres", func(t *testing.T) {
		w := w.in(t)
		w.toolWith(w.render("postgres.yaml"), "kubectl", "apply", "--server-side", "-f", "-")
		w.postgres(idleTime(t, 5*time.Second))
		w.refusals()
	})
}

// removeManifests removes everything that the manifests make; unlike a test's own namespace, default stays.
func (w *world) removeManifests() {
	for _, kind := range []string{"tcproute,httproute,gateway,service,deployment", "gatewayclass"} {
		names := []string{"postgres-route", "my-route", "web-route", "my-gateway", "web-gateway", "postgres-gateway", "my-service", "my-postgres-postgresql", "my-postgres"}
		if kind == "gatewayclass" {
			names = []string{"envoy", "nginx"}
		}
		args := []string{"kubectl", "delete", "--ignore-not-found", "--timeout=60s", kind}
		cmd := exec.Command(os.Getenv("HEADGATE_TESTCLUSTER"), append(args, names...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			w.Errorf("removing the manifests: %v: %s", err, out)
		}
	}
}

// render gives a manifest as `headgate render` writes it.
func (w *world) render(name string) string {
	w.Helper()
	dir := w.TempDir()
	text, err := os.ReadFile(filepath.Join(manifests, name))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
	}
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.CommandContext(w.Context(), "../bin/image/headgate", "render", dir)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("headgate render: %v: %s", err, problems.Bytes())
	}
	return string(out)
}

// httpManifest: the class is accepted, the Gateway gets an address, and a request to it reaches the Service.
func (w *world) httpManifest() {
	w.tool("kubectl", "apply", "-f", filepath.Join(manifests, "http.yaml"))
	w.address = w.programmed("my-gateway")
	w.appears("any.example", "my-service")
	for kind, want := range map[string]string{
		"gatewayclass envoy":            "NAME CONTROLLER ACCEPTED AGE / envoy headgate.dev/gateway-controller True",
		"gateway --namespace default":   "NAME CLASS ADDRESS PROGRAMMED AGE / my-gateway envoy " + w.address + " True",
		"httproute --namespace default": "NAME HOSTNAMES AGE / my-route",
	} {
		got := strings.Fields(w.tool(append([]string{"kubectl", "get"}, strings.Fields(kind)...)...))
		if text := strings.Join(got, " "); !strings.HasPrefix(text, strings.ReplaceAll(want, " / ", " ")) {
			w.Errorf("kubectl get %s shows\n%s\nwant\n%s", kind, text, want)
		}
	}
}

// serviceIn makes a Service whose only endpoint is a port of this machine.
func (w *world) serviceIn(namespace, name string, port int32) {
	w.Helper()
	s, e := service(name, w.host, port)
	s.Namespace, e.Namespace = namespace, namespace
	for _, o := range []client.Object{&corev1.Service{ObjectMeta: s.ObjectMeta}, &discoveryv1.EndpointSlice{ObjectMeta: e.ObjectMeta}} {
		if err := client.IgnoreNotFound(w.Delete(w.Context(), o)); err != nil {
			w.Fatal(err)
		}
	}
	w.create(s, e)
}

// programmed waits until a Gateway of the namespace default is programmed, and returns its address.
func (w *world) programmed(name string) (address string) {
	w.Helper()
	w.until("Gateway "+name+" is programmed", 2*time.Minute, func(ctx context.Context) error {
		var g gwv1.Gateway
		if err := w.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, &g); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(g.Status.Conditions, string(gwv1.GatewayConditionProgrammed)) || len(g.Status.Addresses) == 0 {
			return fmt.Errorf("its status is %+v", g.Status)
		}
		address = g.Status.Addresses[0].Value
		return nil
	})
	return address
}

// webManifest: what belongs to the class of another controller is left as it was made. A class of the same name with our name
// is ours, and with it all that hangs on it.
func (w *world) webManifest() {
	file := filepath.Join(manifests, "web.yaml")
	w.tool("kubectl", "apply", "-f", file)
	w.appearsAfterwards("web")
	class := &gwv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}}
	for _, o := range []client.Object{class, &gwv1.Gateway{ObjectMeta: inDefault("web-gateway")}, &gwv1.HTTPRoute{ObjectMeta: inDefault("web-route")}} {
		if err := w.Get(w.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			w.Fatal(err)
		}
		for _, m := range o.GetManagedFields() {
			if m.Manager == "headgate" || m.Subresource == "status" {
				w.Errorf("%T %s was written by %s", o, o.GetName(), m.Manager)
			}
		}
	}
	if err := w.Delete(w.Context(), class.DeepCopy()); err != nil {
		w.Fatal(err)
	}
	w.gone(class.DeepCopy())
	ours := &gwv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}}
	ours.Spec.ControllerName = "headgate.dev/gateway-controller"
	w.create(ours)
	address := w.programmed("web-gateway")
	w.until("the route serves", 30*time.Second, func(ctx context.Context) error {
		for path, want := range map[string]int{"/app/": http.StatusOK, "/other": http.StatusNotFound} {
			if code, err := status(ctx, "http://"+address+path); err != nil || code != want {
				return fmt.Errorf("%s: %d, want %d: %w", path, code, want, err)
			}
		}
		return nil
	})
}

func inDefault(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name}
}

// appearsAfterwards makes a route and waits for it: what was made before it has been seen by then.
func (w *world) appearsAfterwards(name string) {
	w.Helper()
	r := route("after-"+name, "after-"+name+".example", "my-service")
	r.Namespace = "default"
	r.Spec.ParentRefs[0].Name = "my-gateway"
	w.create(r)
	w.appears("after-"+name+".example", "my-service")
	if err := w.Delete(w.Context(), r); err != nil {
		w.Fatal(err)
	}
}

func status(ctx context.Context, url string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := visitor.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// idleTime is how long a connection says nothing: HEADGATE_IDLE, as in 15m.
func idleTime(t *testing.T, otherwise time.Duration) time.Duration {
	text := os.Getenv("HEADGATE_IDLE")
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("HEADGATE_IDLE: %v", err)
	}
	return d
}

// psql talks to the PostgreSQL behind the Gateway.
func (w *world) psql(in io.Reader, out io.Writer, statement string) error {
	cmd := exec.CommandContext(w.Context(), "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--variable", "ON_ERROR_STOP=1",
		"--variable", "FETCH_COUNT=1000", "host="+w.address+" port=5432 user=postgres dbname=postgres sslmode=disable connect_timeout=5", "--command", statement)
	var problems bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(os.Environ(), "PGPASSWORD="+password), in, out, &problems
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("psql %q: %w: %s", statement, err, bytes.TrimSpace(problems.Bytes()))
	}
	return nil
}

func (w *world) query(statement string) string {
	w.Helper()
	var out bytes.Buffer
	if err := w.psql(nil, &out, statement); err != nil {
		w.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

// postgres uses a database through the Gateway, while a connection says nothing for some time.
func (w *world) postgres(idle time.Duration) {
	w.address = w.programmed("postgres-gateway")
	w.until("PostgreSQL answers", 2*time.Minute, func(context.Context) error { return w.psql(nil, io.Discard, "select 1") })
	quiet := w.quietConnection()
	began := time.Now()
	if got := w.query("select 6*7, current_user"); got != "42|postgres" {
		w.Errorf("a query gives %q", got)
	}
	count := &counter{}
	if err := w.psql(nil, count, fmt.Sprintf("select repeat('x', 1000) from generate_series(1, %d)", largeRows)); err != nil || count.n != largeRows*1001 {
		w.Errorf("a large result has %d bytes, want %d: %v", count.n, largeRows*1001, err)
	}
	w.logRate("a large result", count.n, time.Since(began))
	w.copies()
	quiet(began.Add(idle))
	w.Logf("a connection that said nothing for %s is the same afterwards", time.Since(began).Round(time.Second))
}

func (w *world) logRate(what string, bytes int, took time.Duration) {
	w.Logf("%s: %d MB in %s", what, bytes/1e6, took.Round(time.Millisecond))
}

type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

// copies brings a table in and out again.
func (w *world) copies() {
	w.query("create table lines (n int, line text)")
	var rows bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&rows, "%d\t%s\n", i, strings.Repeat("y", 1000))
	}
	want := sha256.Sum256(rows.Bytes())
	if err := w.psql(bytes.NewReader(rows.Bytes()), io.Discard, "copy lines from stdin"); err != nil {
		w.Fatal(err)
	}
	got := sha256.New()
	if err := w.psql(nil, got, "copy (select * from lines order by n) to stdout"); err != nil {
		w.Fatal(err)
	}
	if [sha256.Size]byte(got.Sum(nil)) != want {
		w.Error("a copy out is not what was copied in")
	}
}

// quietConnection logs in and asks who serves it. What it returns waits until a time and asks again.
func (w *world) quietConnection() func(until time.Time) {
	cmd := exec.CommandContext(w.Context(), "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
		"host="+w.address+" port=5432 user=postgres dbname=postgres sslmode=disable keepalives=0")
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		w.Fatal(err)
	}
	answers := bufio.NewReader(out)
	who := func() string {
		_, err := io.WriteString(in, "select pg_backend_pid();\n")
		line, err2 := answers.ReadString('\n')
		if err := errors.Join(err, err2); err != nil {
			w.Fatalf("asking over the quiet connection: %v", err)
		}
		return line
	}
	first := who()
	return func(until time.Time) {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-w.Context().Done():
		}
		if again := who(); again != first {
			w.Errorf("the connection was served by %q and is by %q", first, again)
		}
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			w.Error(err)
		}
	}
}

// refusals: where no connection comes about, the status says why.
func (w *world) refusals() {
	refused := func(why string) {
		w.Helper()
		w.until("connections are refused when "+why, 30*time.Second, func(context.Context) error {
			if err := w.psql(nil, io.Discard, "select 1"); err == nil {
				return errors.New("psql logs in")
			}
			return nil
		})
	}
	w.tool("kubectl", "--namespace", "default", "scale", "deployment/my-postgres", "--replicas=0")
	refused("there is no pod")
	w.statusSays("tcproute/postgres-route", "no endpoint")
	w.tool("kubectl", "--namespace", "default", "delete", "service", "my-postgres-postgresql")
	w.statusSays("tcproute/postgres-route", "BackendNotFound")
	w.tool("kubectl", "--namespace", "default", "delete", "tcproute", "postgres-route")
	w.statusSays("gateway/postgres-gateway", `"attachedRoutes":0`)
	refused("there is no route")
}

// statusSays waits until a text is in the status of an object in the namespace default.
func (w *world) statusSays(object, text string) {
	w.Helper()
	w.until("the status of "+object+" says "+text, 30*time.Second, func(context.Context) error {
		got := w.tool("kubectl", "--namespace", "default", "get", object, "--output=jsonpath={.status}")
		if !strings.Contains(got, text) {
			return errors.New(got)
		}
		return nil
	})
}
