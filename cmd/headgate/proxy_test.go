package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"headgate.dev/proxy/pki"
)

// load is clients that ask without a pause, each on a connection it keeps.
type load struct {
	t      *testing.T
	cancel context.CancelFunc
	wait   sync.WaitGroup
	done   atomic.Int64
	mu     sync.Mutex
	wrong  []string
}

func startLoad(t *testing.T, port int, want string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{t: t, cancel: cancel}
	t.Cleanup(func() { cancel(); l.wait.Wait() })
	for range 4 {
		l.wait.Go(func() {
			client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				if text, err := fetch(client, port); err != nil || text != want {
					l.mu.Lock()
					l.wrong = append(l.wrong, fmt.Sprintf("%q %v", text, err))
					l.mu.Unlock()
				}
				l.done.Add(1)
			}
		})
	}
	return l
}

func fetch(client *http.Client, port int) (string, error) {
	res, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New(res.Status))
	}
	return string(text), err
}

// pass lets some more requests be answered.
func (l *load) pass() {
	l.t.Helper()
	until := l.done.Load() + 50
	eventually(l.t, "requests are answered", func() bool { return l.done.Load() >= until })
}

// end stops the clients and complains if one of them was not served.
func (l *load) end() {
	l.t.Helper()
	l.cancel()
	l.wait.Wait()
	if len(l.wrong) > 0 {
		l.t.Errorf("%d of %d requests went wrong: %.5q", len(l.wrong), l.done.Load(), l.wrong)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// The life of a proxy, with traffic all the while.
func TestProxyLife(t *testing.T) {
	// A root that is due to be followed, and certificates that are renewed every second or two.
	policy := pki.Policy{LeafLife: 3 * time.Second, Announce: time.Second}
	c := newControlPlane(t, policy, time.Now().AddDate(0, -9, 0))
	_, portText, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	own, other := configuration(t, "own", port, portOf(t, "own")), configuration(t, "other", port, portOf(t, "other"))

	// The node is another Gateway's pod, by its word.
	p := c.runPod("headgate://proxy/namespace/infra/gateway/other/pod/other-1")
	p.says("answering probes", 1)
	p.says("got no certificate", 2)
	if code, _ := p.ask("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("without a controller: /readyz %d", code)
	}
	c.serve()
	c.server.Publish("infra/other", 1, other)
	c.until("the proxy has connected", func() bool { return c.count("connected") == 1 })
	if c.seen("connected infra/public public-1") != 1 {
		t.Errorf("a proxy that says it is another one: %q", c.events)
	}
	if code, text := p.ask("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "waits for its first set") {
		t.Errorf("without configuration: /readyz %d %s", code, text)
	}
	if code, _ := p.ask("/livez"); code != http.StatusOK {
		t.Errorf("without configuration: /livez %d", code)
	}
	c.server.Publish("infra/public", 1, own)
	p.says("ready", 1)
	if code, text := p.ask("/readyz"); code != http.StatusOK {
		t.Errorf("with its first set: /readyz %d %s", code, text)
	}
	once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if got, err := fetch(once, port); got != "own" || err != nil {
		t.Errorf("the answer is %q (%v), want that of its own Gateway", got, err)
	}
	if n := c.server.Counts().Resources; n != uint64(len(own)) {
		t.Errorf("%d resources were sent, want the %d of its own Gateway", n, len(own))
	}
	load := startLoad(t, port, "own")

	{ // certificate and root are replaced
		p.says("got a certificate", 3)
		first := c.authority
		second, err := first.Step(time.Now())
		if err != nil || second == first {
			t.Fatalf("no second root: %v", err)
		}
		c.write("anchors", string(second.Anchors()))
		c.use(second)
		p.says("got other anchors", 1)
		c.until("the second root signs", func() bool { return c.issuers[len(c.issuers)-1] != c.issuers[0] })
		third, err := second.Step(time.Now().Add(time.Hour)) // when the first root is spent
		if err != nil || third == second {
			t.Fatalf("the first root stays: %v", err)
		}
		c.write("anchors", string(third.Anchors()))
		c.use(third)
		p.says("got other anchors", 2)
		given := 0
		c.until("a certificate", func() bool { given = len(c.issuers); return true })
		c.until("another certificate", func() bool { return len(c.issuers) > given })
		if n := c.seen("connected"); n != 1 {
			t.Errorf("%d streams so far, want the first one all the while", n)
		}
		load.pass()
	}

	{ // the controller goes and comes back
		c.stop()
		p.says("got no certificate", 5)
		if code, _ := p.ask("/readyz"); code != http.StatusOK {
			t.Errorf("without a controller: /readyz %d", code)
		}
		load.pass()
		before := c.seen("ready")
		c.serve()
		c.server.Publish("infra/public", 1, own)
		c.until("the proxy is back", func() bool { return c.count("ready") > before })
		if n := c.server.Counts().Resources; n != 0 {
			t.Errorf("%d resources were sent to a proxy that has them", n)
		}
		load.pass()
	}

	{ // a rolling restart
		began := time.Now()
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.says("draining", 1)
		if code, text := p.ask("/readyz"); code != http.StatusServiceUnavailable || !strings.HasPrefix(text, "draining") {
			t.Errorf("draining: /readyz %d %s", code, text)
		}
		load.pass() // its clients are still served
		load.end()  // they have found another proxy
		if err := p.wait(); err != nil {
			t.Errorf("the end: %v", err)
		}
		if took := time.Since(began); took < 300*time.Millisecond || took > 9*time.Second {
			t.Errorf("it took %v, want the delay and until the last client was gone", took)
		}
		if r := p.says("drained", 1); r["connectionsLeft"] != 0.0 {
			t.Errorf("%v connections were left", r["connectionsLeft"])
		}
	}
}

// memory of a process in KiB.
func memory(t *testing.T, pid int) (rss, anonymous int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch f[0] {
		case "VmRSS:":
			rss, err = strconv.Atoi(f[1])
		case "RssAnon:":
			anonymous, err = strconv.Atoi(f[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return rss, anonymous
}

// The program takes little memory beside Envoy: this is measured with the program as the image has it.
func TestProxyMemory(t *testing.T) {
	program := filepath.Join(t.TempDir(), "headgate")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	c := newControlPlane(t, pki.Policy{}, time.Now())
	c.program = program
	c.serve()
	c.server.Publish("infra/public", 1, nil)
	p := c.runPod("public-1", "--poll", "10s")
	p.says("ready", 1)
	for range 50 {
		p.ask("/readyz")
		p.ask("/livez")
	}
	rss, own := memory(t, p.cmd.Process.Pid)
	t.Logf("%d KiB resident, %d of them its own", rss, own)
	// What is not its own are pages of the file, which all proxies of a machine share, and as many as the kernel happens to
	// map around those in use: 10 to 16 MiB.
	const most = 12 << 10 // KiB
	if own > most {
		t.Errorf("%d KiB of its own, want %d at most", own, most)
	}
	if err := p.term(); err != nil {
		t.Errorf("the end: %v", err)
	}
}

// Envoy that dies comes back, and is not ready meanwhile.
func TestProxyEnvoyDies(t *testing.T) {
	c := newControlPlane(t, pki.Policy{}, time.Now())
	c.serve()
	_, port, _ := net.SplitHostPort(freeAddress(t))
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	c.server.Publish("infra/public", 1, configuration(t, "own", n, portOf(t, "own")))
	p := c.runPod("public-1")
	pid := int(p.says("ready", 1)["pid"].(float64))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if r := p.says("Envoy ended", 1); !strings.Contains(r["error"].(string), "killed") {
		t.Errorf("the log says %v", r)
	}
	p.says("ready", 2)
	once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if got, err := fetch(once, n); got != "own" || err != nil {
		t.Errorf("after the restart: %q, %v", got, err)
	}
	if code, text := p.ask("/metrics"); code != http.StatusOK || !strings.Contains(text, "envoy_http_downstream_rq") {
		t.Errorf("/metrics: %d %.300s", code, text)
	}
	info, err := os.Stat(filepath.Join(p.dir, "envoy"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the private directory is %v (%v)", info.Mode(), err)
	}
	// A client that stays is cut off by a second signal, not before.
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.says("draining", 1)
	eventually(t, "a second signal ends it", func() bool {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case err := <-p.done:
			p.done <- err
			return true
		default:
			return false
		}
	})
	if err := p.wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
}

// Who gets no certificate gets no Envoy either, and says why.
func TestProxyRefused(t *testing.T) {
	c := newControlPlane(t, pki.Policy{}, time.Now())
	c.tokens["for the API"] = pki.Caller{Audiences: []string{"https://kubernetes.default.svc"}, Namespace: "infra", ServiceAccount: "public", Pod: "public-1", PodUID: "1"}
	c.tokens["elsewhere"] = pki.Caller{Audiences: []string{pki.Audience}, Namespace: "evil", ServiceAccount: "public", Pod: "public-1", PodUID: "1"}
	c.serve()
	c.server.Publish("infra/public", 1, nil)
	for token, want := range map[string]string{"for the API": "not for audience", "elsewhere": "serves no Gateway", "made up": "not valid"} {
		c.write("token", token)
		p := c.runPod("public-1")
		if r := p.says("got no certificate", 2); !strings.Contains(r["error"].(string), want) || r["level"] != "WARN" {
			t.Errorf("%s: the log says %v", token, r)
		}
		if code, _ := p.ask("/readyz"); code != http.StatusServiceUnavailable {
			t.Errorf("%s: /readyz %d", token, code)
		}
		if err := p.term(); err != nil {
			t.Errorf("%s: the end: %v", token, err)
		}
	}
	if len(c.events) > 0 || len(c.issuers) > 0 {
		t.Errorf("streams %q, certificates by %q", c.events, c.issuers)
	}
}

func TestProxyCannotGoOn(t *testing.T) {
	c := newControlPlane(t, pki.Policy{}, time.Now())
	c.serve()
	for name, arg := range map[string][2]string{
		"reading the anchors":          {"--anchors", "/nonexistent"},
		"listening for probes":         {"--health", c.xds},
		"making the private directory": {"--dir", "/dev/null"},
		"no such file":                 {"--envoy", "/nonexistent"},
	} {
		p := c.runPod("public-1", arg[0], arg[1])
		err := p.wait()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != exitEnvironment {
			t.Errorf("%s: ended with %v", name, err)
		}
		if r := p.says("the proxy cannot go on", 1); !strings.Contains(r["error"].(string), name) {
			t.Errorf("%s: the log says %v", name, r)
		}
	}
}

func TestProxyUsage(t *testing.T) {
	for _, args := range []string{
		"", "--xds a:1", "--xds a --exchange a:1", "--xds a:1 --exchange :1", "--xds a:1 --exchange a:1 --health 80",
		"--xds a:1 --exchange a:1 --log-level loud", "--xds a:1 --exchange a:1 --log-format xml", "--xds a:1 --exchange a:1 --poll 0s",
		"--xds a:1 --exchange a:1 --drain-delay -1s", "--xds a:1 --exchange a:1 --concurrency -1", "--xds a:1 --exchange a:1 extra",
		"--xds a:1 --exchange a:1 --max-connections 0",
	} {
		s := streams{out: io.Discard, err: io.Discard, getenv: os.Getenv}
		if code := run(context.Background(), s, append([]string{"proxy"}, strings.Fields(args)...)); code != exitUsage {
			t.Errorf("headgate proxy %s: exit code %d, want %d", args, code, exitUsage)
		}
	}
}

func TestEnvoyLog(t *testing.T) {
	var out strings.Builder
	l := newEnvoyLog(podLogger(&out, "json"))
	for _, piece := range []string{"[warning] [main] half ", "a line\n[critical] [backtrace] ", "Caught Segmentation fault\n#0: [0x1]\n", "\nunknown\n[nonsense] x\n[info] bare\n"} {
		if _, err := l.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		_, line, _ = strings.Cut(line, `"level":`)
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		`"WARN","msg":"half a line","process":"envoy","logger":"main"}`,
		`"ERROR","msg":"Caught Segmentation fault","process":"envoy","logger":"backtrace"}`,
		`"ERROR","msg":"#0: [0x1]","process":"envoy","logger":"backtrace"}`,
		`"ERROR","msg":"unknown","process":"envoy","logger":"backtrace"}`,
		`"ERROR","msg":"[nonsense] x","process":"envoy","logger":"backtrace"}`,
		`"INFO","msg":"bare","process":"envoy","logger":""}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
