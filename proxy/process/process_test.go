package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"headgate.dev/proxy/process"
)

// The test binary plays the parent of an Envoy that is to die with it.
func TestMain(m *testing.M) {
	if socket := os.Getenv("HEADGATE_TEST_PARENT"); socket != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		o := options(os.Getenv("HEADGATE_TEST_BINARY"), socket)
		o.Ready = func(int) { fmt.Println("ready") }
		err := process.Run(ctx, o)
		stop()
		fmt.Println("ended:", err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// binary is the Envoy to test with.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("HEADGATE_ENVOY")
	if path == "" {
		path, _ = filepath.Abs("../../.cache/envoy-1.40.0/envoy")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no Envoy to test with (%v): run make envoy", err)
	}
	return path
}

// options of an Envoy that has nothing but its admin interface, on a Unix socket.
func options(path, socket string) process.Options {
	return process.Options{
		Path:        path,
		Bootstrap:   fmt.Appendf(nil, "admin: {address: {pipe: {path: %q}}}\n", socket),
		Concurrency: 1,
		Serving:     process.Live("unix", socket),
		MinBackOff:  time.Millisecond,
	}
}

// socket is a path short enough for a Unix socket.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "admin")
}

// serves tells whether a process listens on the socket.
func serves(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// eventually waits for a condition that no event announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

// running is a Run in the background.
type running struct {
	ready  chan int
	exited chan error
	done   chan error
	stop   func()
}

func run(t *testing.T, o process.Options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{ready: make(chan int, 10), exited: make(chan error, 10), done: make(chan error, 1), stop: cancel}
	o.Ready = func(pid int) { r.ready <- pid }
	o.Exited = func(err error, _ time.Duration) { r.exited <- err }
	var wait sync.WaitGroup
	wait.Go(func() { r.done <- process.Run(ctx, o) })
	t.Cleanup(func() { cancel(); wait.Wait() })
	return r
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: not within 10 s", what)
		panic("unreachable")
	}
}

// An Envoy that is killed is started again and serves again; stopped, nothing is left of it.
func TestRestartAndStop(t *testing.T) {
	socket, files := socket(t), t.TempDir()
	t.Setenv("TMPDIR", files)
	o := options(binary(t), socket)
	r := run(t, o)
	first := receive(t, "the first process is ready", r.ready)
	if !serves(socket) {
		t.Error("ready, but nobody listens on the admin socket")
	}
	// Threads that end take no child with them.
	var threads sync.WaitGroup
	for range 20 {
		threads.Go(func() { runtime.LockOSThread() })
	}
	threads.Wait()

	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var exit *process.ExitError
	if err := receive(t, "the end of the killed process", r.exited); !errors.As(err, &exit) || exit.State != "signal: killed" {
		t.Errorf("exited with %v, want an ExitError with signal: killed", err)
	}
	second := receive(t, "the second process is ready", r.ready)
	if second == first || !serves(socket) {
		t.Errorf("the second process %d (first %d) does not listen", second, first)
	}
	r.stop()
	if err := receive(t, "the end of Run", r.done); err != nil {
		t.Errorf("Run after its context ended: %v, want nil", err)
	}
	if serves(socket) {
		t.Error("somebody listens on the admin socket after Run")
	}
	if left, err := os.ReadDir(files); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v (%v)", left, err)
	}
}

// However the parent ends, Envoy ends.
func TestParentEnds(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			socket := socket(t)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "HEADGATE_TEST_PARENT="+socket, "HEADGATE_TEST_BINARY="+binary(t))
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			if !lines.Scan() || lines.Text() != "ready" {
				t.Fatalf("the parent says %q, want ready", lines.Text())
			}
			if !serves(socket) {
				t.Error("ready, but nobody listens on the admin socket")
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(out)
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); (err == nil) != (sig == syscall.SIGINT) {
				t.Errorf("the parent ended with %v", err)
			}
			if sig == syscall.SIGINT && !strings.Contains(string(rest)+lines.Text(), "ended: <nil>") {
				t.Errorf("the parent says %q after Ctrl-C, want ended: <nil>", rest)
			}
			eventually(t, "Envoy is gone", func() bool { return !serves(socket) })
		})
	}
}

// A process that cannot serve ends Run with its reason instead of being started for ever.
func TestCannotServe(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	port := busy.Addr().(*net.TCPAddr).Port
	for _, c := range []struct{ name, bootstrap, want string }{
		{"port", fmt.Sprintf("admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}", port), "Address already in use"},
		{"field", "admim: {}", "admim"},
		{"syntax", "admin: {", "end of map flow not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, process.Options{Path: binary(t), Bootstrap: []byte(c.bootstrap), Concurrency: 1,
				Serving: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
			err := receive(t, "the end of Run", r.done)
			var exit *process.ExitError
			if !errors.As(err, &exit) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run: %v, want an ExitError that says %q", err, c.want)
			}
		})
	}
}

// script makes an executable that stands in for Envoy.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "envoy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// What does not end when told to is killed; what does not become ready is not kept either.
func TestStubborn(t *testing.T) {
	path := script(t, "trap '' TERM\necho trapped\nwhile :; do read -r line < /dev/zero; done\n")
	lines, w := io.Pipe()
	o := process.Options{Path: path, StopTimeout: 10 * time.Millisecond, Log: w}
	r := run(t, o)
	pid := receive(t, "the process is ready", r.ready)
	if l, err := bufio.NewReader(lines).ReadString('\n'); l != "trapped\n" {
		t.Fatalf("the log says %q (%v)", l, err)
	}
	r.stop()
	if err := receive(t, "the end of Run", r.done); err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}

	refused := errors.New("it answers nonsense")
	r = run(t, process.Options{Path: script(t, "exec cat /dev/zero >/dev/null\n"),
		Serving: func(context.Context) error { return refused }})
	if err := receive(t, "the end of Run", r.done); !errors.Is(err, refused) {
		t.Errorf("Run: %v, want %v", err, refused)
	}
}

// The pause before a restart doubles up to its bound; the last lines of the log are kept.
func TestBackOff(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var pauses []time.Duration
	var last error
	served := filepath.Join(t.TempDir(), "served") // a process that ends before would be the last
	err := process.Run(ctx, process.Options{
		Path: script(t, "i=0\nwhile [ $i -lt 30 ]; do i=$((i+1)); echo line $i; done\n"+
			"while [ ! -e '"+served+"' ]; do sleep 0.01; done\nrm '"+served+"'\n"),
		MinBackOff: time.Millisecond, MaxBackOff: 4 * time.Millisecond,
		Ready: func(int) {
			if err := os.WriteFile(served, nil, 0o600); err != nil {
				t.Error(err)
			}
		},
		Exited: func(err error, d time.Duration) {
			pauses, last = append(pauses, d), err
			if len(pauses) == 5 {
				cancel()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range pauses {
		if d < time.Millisecond || d > 4*time.Millisecond || i > 0 && d < pauses[i-1] && d != time.Millisecond {
			t.Errorf("pauses %v, want them to grow from 1 ms to 4 ms", pauses)
		}
	}
	var exit *process.ExitError
	if !errors.As(last, &exit) || len(exit.Lines) != 20 || exit.Lines[19] != "line 30" {
		t.Errorf("the last lines are %q, want line 11 to line 30", exit.Lines)
	}
}

func TestCheck(t *testing.T) {
	ctx := context.Background()
	if v, err := process.Check(ctx, binary(t)); v != "1.40.0" || err != nil {
		t.Errorf("the version of %s: %q, %v; want 1.40.0", binary(t), v, err)
	}
	answer := func(version string) string {
		return script(t, "echo; echo 'envoy  version: 0f/"+version+"/Clean/RELEASE/BoringSSL'\n")
	}
	for _, c := range []struct{ name, path, want string }{
		{"missing", "/no/such/envoy", "no such file"},
		{"not on PATH", "no-such-envoy", "not found in $PATH"},
		{"other program", script(t, "echo hello\n"), "does not answer as Envoy does"},
		{"failing", script(t, "exit 3\n"), "exit status 3"},
		{"old", answer("1.39.2"), "version 1.39.2, but 1.40.x is needed"},
		{"new", answer("1.41.0-dev"), "version 1.41.0-dev, but 1.40.x is needed"},
	} {
		_, err := process.Check(ctx, c.path)
		var wrong *process.BinaryError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a BinaryError that says %q", c.name, err, c.want)
		}
	}
	if v, err := process.Check(ctx, answer("1.40.7")); v != "1.40.7" || err != nil {
		t.Errorf("a later patch release: %q, %v", v, err)
	}
	err := process.Run(ctx, process.Options{Path: "no-such-envoy"})
	if !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("Run without a binary: %v, want exec.ErrNotFound", err)
	}
}
