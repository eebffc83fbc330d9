package git

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// gitEnv makes the real git independent of the machine's and the user's configuration.
var gitEnv = []string{
	"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "HOME=/nonexistent", "PATH=" + os.Getenv("PATH"),
	"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05+0100",
	"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com", "GIT_COMMITTER_DATE=2026-01-02T03:04:05+0100",
	"GIT_CONFIG_COUNT=3", "GIT_CONFIG_KEY_2=core.compression", "GIT_CONFIG_VALUE_2=1", "GIT_CONFIG_KEY_0=init.defaultBranch", "GIT_CONFIG_VALUE_0=main",
	"GIT_CONFIG_KEY_1=gc.auto", "GIT_CONFIG_VALUE_1=0",
}

// run runs git and gives what it prints.
func run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, gitEnv
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// commit writes a file and commits everything; it gives the commit's id.
func commit(t testing.TB, dir, name, content string) string {
	t.Helper()
	write(t, dir, name, content)
	run(t, dir, "add", "-A")
	run(t, dir, "commit", "-q", "-m", "Change "+name)
	return run(t, dir, "rev-parse", "HEAD")
}

// newRepo makes a repository with one commit of a.yaml.
func newRepo(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run(t, dir, "init", "-q", ".")
	commit(t, dir, "a.yaml", "a: 1\n")
	return dir
}

func open(t testing.TB, src Source) *Repository {
	t.Helper()
	r, err := Open(src, Options{Cache: filepath.Join(t.TempDir(), "cache"), Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func resolve(t testing.TB, r *Repository) *Commit {
	t.Helper()
	c, err := r.Resolve(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func text(t testing.TB, c *Commit, name string) string {
	t.Helper()
	data, err := c.Tree.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// awaitHint fails the test when no hint comes.
func awaitHint(t testing.TB, hints <-chan struct{}) {
	t.Helper()
	select {
	case _, ok := <-hints:
		if !ok {
			t.Fatal("the watch ended")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no hint")
	}
}

// server is git http-backend behind net/http.
type server struct {
	*httptest.Server
	root      string
	requests  atomic.Int64
	bytes     atomic.Int64                     // of answers
	intercept atomic.Pointer[http.HandlerFunc] // answers instead, unless it is nil
}

func serve(t testing.TB, root string) *server {
	t.Helper()
	execPath := run(t, root, "--exec-path")
	backend := &cgi.Handler{
		Path: filepath.Join(execPath, "git-http-backend"), Dir: root,
		Logger: log.New(io.Discard, "", 0), Stderr: io.Discard, // clients that hang up are part of the tests
		Env: append([]string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}, gitEnv...),
	}
	s := &server{root: root}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if f := s.intercept.Load(); f != nil {
			(*f)(w, r)
			return
		}
		backend.ServeHTTP(&counting{ResponseWriter: w, n: &s.bytes}, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) handle(f http.HandlerFunc) {
	if f == nil {
		s.intercept.Store(nil)
		return
	}
	s.intercept.Store(&f)
}

type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

// quietLog is for servers whose clients refuse them.
var quietLog = log.New(io.Discard, "", 0)

// selfSigned is a certificate for 127.0.0.1 that nobody knows.
func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}
}
