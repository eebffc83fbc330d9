package git

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headgate.dev/agent/git/internal/pack"
)

// published is a work tree and the bare repository it pushes to, on a server.
func published(t testing.TB) (dir, url string, s *server) {
	t.Helper()
	dir = newRepo(t)
	root := t.TempDir()
	run(t, root, "init", "-q", "--bare", "repo.git")
	run(t, filepath.Join(root, "repo.git"), "config", "uploadpack.allowFilter", "true")
	run(t, dir, "remote", "add", "origin", filepath.Join(root, "repo.git"))
	s = serve(t, root)
	push(t, dir)
	return dir, s.URL + "/repo.git", s
}

func push(t testing.TB, dir string, args ...string) {
	t.Helper()
	run(t, dir, append([]string{"push", "-q", "--all", "origin"}, args...)...)
	run(t, dir, append([]string{"push", "-q", "--tags", "origin"}, args...)...)
}

func TestFetch(t *testing.T) {
	dir, url, s := published(t)
	// Enough that a whole fetch is much larger than one commit.
	for i := range 200 {
		write(t, dir, fmt.Sprintf("d%d/a.yaml", i), fmt.Sprintf("%x\n", strings.Repeat(fmt.Sprint(i), 50)))
	}
	commit(t, dir, "b.yaml", "b: 1\n")
	push(t, dir)
	r := open(t, Source{URL: url})
	first := resolve(t, r)
	if first.Revision != "main@sha1:"+run(t, dir, "rev-parse", "HEAD") || text(t, first, "d7/a.yaml") == "" {
		t.Errorf("got %s", first.Revision)
	}
	whole := s.bytes.Swap(0)
	s.requests.Store(0)
	if resolve(t, r) != first || s.requests.Load() != 1 || s.bytes.Load() > 1000 {
		t.Errorf("an unchanged repository: %d requests, %d bytes", s.requests.Load(), s.bytes.Load())
	}
	s.requests.Store(0)
	s.bytes.Store(0)
	commit(t, dir, "d7/a.yaml", "new\n")
	push(t, dir)
	second := resolve(t, r)
	if got := text(t, second, "d7/a.yaml") + text(t, second, "a.yaml"); got != "new\na: 1\n" {
		t.Errorf("got %q", got)
	}
	if n := s.requests.Load(); n != 2 || s.bytes.Load() > whole/2 {
		t.Errorf("one commit: %d requests, %d bytes of %d", n, s.bytes.Load(), whole)
	}
	run(t, dir, "reset", "-q", "--hard", "HEAD~2")
	commit(t, dir, "c.yaml", "rewritten\n")
	push(t, dir, "--force")
	third := resolve(t, r)
	if _, err := third.Tree.Stat("d7"); err == nil || text(t, third, "c.yaml") != "rewritten\n" {
		t.Errorf("after a force push: %v", err)
	}
	run(t, dir, "push", "-q", "--force", "origin", first.Hash+":main")
	s.requests.Store(0)
	if got := resolve(t, r); got.Hash != first.Hash || s.requests.Load() != 1 {
		t.Errorf("back to a known commit: %s with %d requests", got.Hash, s.requests.Load())
	}
	if got := text(t, second, "d7/a.yaml"); got != "new\n" {
		t.Errorf("the second commit later: %q", got)
	}
}

func TestFetchRefs(t *testing.T) {
	dir, url, _ := published(t)
	first := run(t, dir, "rev-parse", "HEAD")
	run(t, dir, "tag", "v1.0.0")
	second := commit(t, dir, "a.yaml", "a: 2\n")
	run(t, dir, "tag", "-a", "-m", "two", "v1.2.0")
	run(t, dir, "branch", "feature/x", first)
	push(t, dir)
	run(t, dir, "push", "-q", "origin", first+":refs/pull/7/head")
	cases := []struct{ ref, revision string }{
		{"", "main@sha1:" + second},
		{"main", "main@sha1:" + second},
		{"feature/x", "feature/x@sha1:" + first},
		{"tag:v1.2.0", "v1.2.0@sha1:" + second},
		{"v1.2.0", "v1.2.0@sha1:" + second},
		{"semver:>=1.0 <1.2", "v1.0.0@sha1:" + first},
		{"semver:1.x", "v1.2.0@sha1:" + second},
		{"refs/pull/7/head", "refs/pull/7/head@sha1:" + first},
		{"commit:" + first, "sha1:" + first},
		{first, "sha1:" + first},
	}
	for _, c := range cases {
		ref, err := ParseRef(c.ref)
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, Source{URL: url, Ref: ref})
		for range 2 {
			if got := resolve(t, r).Revision; got != c.revision {
				t.Errorf("%s: got %s, want %s", c.ref, got, c.revision)
			}
		}
	}
}

func TestFetchDeletedBranch(t *testing.T) {
	dir, url, _ := published(t)
	run(t, dir, "branch", "gone")
	push(t, dir)
	r := open(t, Source{URL: url, Ref: Ref{Branch: "gone"}})
	c := resolve(t, r)
	run(t, dir, "push", "-q", "origin", ":gone")
	_, err := r.Resolve(context.Background())
	var nf *NotFoundError
	if !errors.As(err, &nf) || nf.Ref != "refs/heads/gone" || !strings.Contains(err.Error(), url) {
		t.Errorf("got %v", err)
	}
	if text(t, c, "a.yaml") != "a: 1\n" {
		t.Error("the earlier commit cannot be read")
	}
}

func TestStoreOutlivesTheProcess(t *testing.T) {
	_, url, s := published(t)
	cache := t.TempDir()
	open := func() *Repository {
		r, err := Open(Source{URL: url}, Options{Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one := open()
	resolve(t, one)
	two := open() // beside it, in a directory of its own
	if got := text(t, resolve(t, two), "a.yaml"); got != "a: 1\n" {
		t.Errorf("got %q", got)
	}
	if err := errors.Join(two.Close(), one.Close()); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*")); len(left) != 1 {
		t.Errorf("left in the cache: %v", left)
	}
	s.requests.Store(0)
	three := open()
	defer func() { _ = three.Close() }()
	if got := text(t, resolve(t, three), "a.yaml"); got != "a: 1\n" || s.requests.Load() > 2 {
		t.Errorf("got %q with %d requests", got, s.requests.Load())
	}
}

func TestManyFetchesStartAfresh(t *testing.T) {
	dir, url, _ := published(t)
	r := open(t, Source{URL: url})
	r.origin.(*remote).cache.fetches = 4
	var commits []*Commit
	for i := range 7 {
		commit(t, dir, "a.yaml", fmt.Sprint(i))
		run(t, dir, "push", "-q", "origin", "main")
		commits = append(commits, resolve(t, r))
	}
	for i, c := range commits {
		if got := text(t, c, "a.yaml"); got != fmt.Sprint(i) {
			t.Errorf("commit %d: %q", i, got)
		}
	}
	if n := r.origin.(*remote).cache.current.fetches(); n > 4 {
		t.Errorf("the store has %d fetches", n)
	}
}

// A server that cannot build on what a client has is asked for everything.
func TestFetchAfresh(t *testing.T) {
	dir, url, s := published(t)
	r := open(t, Source{URL: url})
	first := resolve(t, r)
	commit(t, dir, "a.yaml", "a: 2\n")
	push(t, dir)
	refused := 0
	var pass http.HandlerFunc
	backend := s.Config.Handler
	pass = func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		if strings.Contains(string(body), "have ") {
			refused++
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		q.Body = io.NopCloser(strings.NewReader(string(body)))
		s.handle(nil)
		backend.ServeHTTP(w, q)
		s.handle(pass)
	}
	s.handle(pass)
	second := resolve(t, r)
	if refused != 1 || text(t, second, "a.yaml") != "a: 2\n" || text(t, first, "a.yaml") != "a: 1\n" {
		t.Errorf("refused %d times", refused)
	}
}

func TestCredentials(t *testing.T) {
	_, url, s := published(t)
	backend := s.Config.Handler
	var wanted string
	var guard http.HandlerFunc
	guard = func(w http.ResponseWriter, q *http.Request) {
		if got := q.Header.Get("Authorization"); got != wanted {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		s.handle(nil)
		backend.ServeHTTP(w, q)
		s.handle(guard)
	}
	s.handle(guard)
	inURL := strings.Replace(url, "http://", "http://ada:s3cret@", 1)
	for _, c := range []struct {
		src    Source
		wanted string
	}{
		{Source{URL: url, Auth: Auth{Username: "ada", Password: "s3cret"}}, "Basic YWRhOnMzY3JldA=="},
		{Source{URL: inURL}, "Basic YWRhOnMzY3JldA=="},
		{Source{URL: url, Auth: Auth{BearerToken: "s3cret"}}, "Bearer s3cret"},
	} {
		wanted = c.wanted
		r := open(t, c.src)
		resolve(t, r)
		if strings.Contains(r.String(), "s3cret") {
			t.Errorf("shown: %s", r)
		}
		wanted = "something else"
		_, err := r.Resolve(context.Background())
		var au *AuthError
		if !errors.As(err, &au) || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "have expired or were revoked; give new ones") {
			t.Errorf("got %v", err)
		}
	}
	_, err := open(t, Source{URL: url}).Resolve(context.Background())
	var au *AuthError
	if !errors.As(err, &au) || !strings.Contains(err.Error(), "wants credentials") {
		t.Errorf("got %v", err)
	}
}

func TestRedirects(t *testing.T) {
	_, url, s := published(t)
	var arrived atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer other.Close()
	r := open(t, Source{URL: url, Auth: Auth{Username: "ada", Password: "s3cret"}})
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, other.URL+q.URL.Path, http.StatusMovedPermanently)
	})
	_, err := r.Resolve(context.Background())
	var us *UnsupportedError
	if !errors.As(err, &us) || !strings.Contains(err.Error(), other.URL) || arrived.Load() != 0 {
		t.Errorf("%d requests arrived at another host: %v", arrived.Load(), err)
	}
	s.handle(nil)
	resolve(t, r)
	s.handle(func(w http.ResponseWriter, q *http.Request) { // in the middle, now of a POST
		http.Redirect(w, q, other.URL+q.URL.Path, http.StatusTemporaryRedirect)
	})
	if _, err := r.Resolve(context.Background()); err == nil || arrived.Load() != 0 {
		t.Errorf("%d requests arrived at another host: %v", arrived.Load(), err)
	}
	backend := s.Config.Handler
	var rename http.HandlerFunc
	rename = func(w http.ResponseWriter, q *http.Request) {
		if strings.HasPrefix(q.URL.Path, "/old/") {
			http.Redirect(w, q, strings.Replace(q.URL.String(), "/old/", "/repo.git/", 1), http.StatusMovedPermanently)
			return
		}
		s.handle(nil)
		backend.ServeHTTP(w, q)
		s.handle(rename)
	}
	s.handle(rename)
	if got := resolve(t, open(t, Source{URL: s.URL + "/old"})); text(t, got, "a.yaml") != "a: 1\n" {
		t.Error("a repository renamed on its own host cannot be read")
	}
}

func TestTLS(t *testing.T) {
	_, _, s := published(t)
	secure := httptest.NewUnstartedServer(s.Config.Handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that is refused
	secure.StartTLS()
	defer secure.Close()
	url := secure.URL + "/repo.git"
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	resolve(t, open(t, Source{URL: url, Auth: Auth{CA: ca}}))
	_, err := open(t, Source{URL: url}).Resolve(context.Background())
	var au *AuthError
	if !errors.As(err, &au) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
	for _, a := range []Auth{{CA: []byte("x")}, {ClientCert: []byte("x"), ClientKey: []byte("y")}} {
		if _, err := Open(Source{URL: url, Auth: a}, Options{Cache: t.TempDir()}); !errors.As(err, &au) {
			t.Errorf("got %v", err)
		}
	}
}

func TestClientCertificate(t *testing.T) {
	_, _, s := published(t)
	secure := httptest.NewUnstartedServer(s.Config.Handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	secure.StartTLS()
	defer secure.Close()
	pair := secure.TLS.Certificates[0] // any will do, so the server's own
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	a := Auth{CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})}
	url := secure.URL + "/repo.git"
	if _, err := open(t, Source{URL: url, Auth: a}).Resolve(context.Background()); err == nil || !strings.Contains(err.Error(), "may want a client certificate") {
		t.Errorf("without a certificate: %v", err)
	}
	a.ClientCert, a.ClientKey = a.CA, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	resolve(t, open(t, Source{URL: url, Auth: a}))
}

func TestManyAdvertisedRefs(t *testing.T) {
	dir, url, _ := published(t)
	hash := run(t, dir, "rev-parse", "HEAD")
	bare := run(t, dir, "remote", "get-url", "origin")
	run(t, dir, "tag", "v1.0.0")
	push(t, dir)
	writeManyRefs(t, bare, hash, 200_000)
	var tb *TooBigError
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := open(t, Source{URL: url, Ref: Ref{Name: "refs/zzz"}, Limits: Limits{Refs: 1 << 20}}).Resolve(context.Background())
	runtime.ReadMemStats(&after)
	if !errors.As(err, &tb) || !strings.Contains(err.Error(), "hideRefs") {
		t.Errorf("got %v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
		t.Errorf("listing up to a bound of 1 MiB allocated %d bytes", n)
	}
	if got := resolve(t, open(t, Source{URL: url, Ref: Ref{Name: "refs/many/199999"}})); got.Hash != hash {
		t.Errorf("got %s", got.Hash)
	}
}

func TestLargeBlob(t *testing.T) {
	dir, url, s := published(t)
	f, err := os.Create(filepath.Join(dir, "zeros"))
	if err == nil {
		err = errors.Join(f.Truncate(100<<20), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	commit(t, dir, "b.yaml", "b: 1\n")
	push(t, dir)
	bare := run(t, dir, "remote", "get-url", "origin")
	var tb *TooBigError
	// Without the server's help go-git holds the object in memory, in a buffer that it grows.
	for filter, bound := range map[string]uint64{"true": 32 << 20, "false": 3 * pack.MaxObject} {
		run(t, bare, "config", "uploadpack.allowFilter", filter)
		s.bytes.Store(0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := resolve(t, open(t, Source{URL: url}))
		_, err := c.Tree.ReadFile("zeros")
		runtime.ReadMemStats(&after)
		if !errors.As(err, &tb) || !strings.Contains(err.Error(), "zeros") || text(t, c, "b.yaml") != "b: 1\n" {
			t.Errorf("filter %s: %v", filter, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > bound {
			t.Errorf("filter %s: %d bytes allocated", filter, n)
		}
		if filter == "true" && s.bytes.Load() > 5000 {
			t.Errorf("%d bytes came over the wire although the server can leave out the blob", s.bytes.Load())
		}
	}
	run(t, bare, "config", "uploadpack.allowFilter", "false")
	_, err = open(t, Source{URL: url, Limits: Limits{Pack: 10_000}}).Resolve(context.Background())
	if !errors.As(err, &tb) || tb.Limit != 10_000 || !strings.Contains(err.Error(), url) {
		t.Errorf("a pack beyond the limit: %v", err)
	}
}

func TestRemoteErrors(t *testing.T) {
	_, url, s := published(t)
	root := t.TempDir()
	run(t, root, "init", "-q", "--bare", "empty.git")
	empty := serve(t, root)
	var nf *NotFoundError
	for _, c := range []Source{
		{URL: s.URL + "/nothing.git"}, {URL: empty.URL + "/empty.git"}, {URL: url, Ref: Ref{Branch: "nope"}},
		{URL: url, Ref: Ref{Commit: strings.Repeat("1", 40)}}, {URL: url, Ref: Ref{SemVer: "1.x"}},
	} {
		if _, err := open(t, c).Resolve(context.Background()); !errors.As(err, &nf) || !strings.Contains(err.Error(), "http://") {
			t.Errorf("%s %s: %v", c.URL, c.Ref, err)
		}
	}
	run(t, root, "init", "-q", "--object-format=sha256", "long")
	commit(t, filepath.Join(root, "long"), "a.yaml", "a: 1\n")
	var us *UnsupportedError
	if _, err := open(t, Source{URL: empty.URL + "/long/.git"}).Resolve(context.Background()); !errors.As(err, &us) {
		t.Errorf("ids that are not SHA-1: %v", err)
	}
	for _, answer := range []string{"", "<html>", "zzzz", "0008ERR ", "fff0short", "0000"} {
		s.handle(func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(w, answer)
		})
		if _, err := open(t, Source{URL: url}).Resolve(context.Background()); err == nil || !strings.Contains(err.Error(), url) {
			t.Errorf("answer %q: %v", answer, err)
		}
	}
	s.handle(func(w http.ResponseWriter, q *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if _, err := open(t, Source{URL: url}).Resolve(context.Background()); err == nil || !strings.Contains(err.Error(), "not Git's smart protocol") {
		t.Errorf("a web page: %v", err)
	}
	done := make(chan struct{})
	defer close(done)
	s.handle(func(w http.ResponseWriter, q *http.Request) { <-done })
	r, err := Open(Source{URL: url}, Options{Cache: t.TempDir(), Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := r.Resolve(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that says nothing: %v", err)
	}
	for _, raw := range []string{"ftp://x/y", "https://", "https://host", "https://a b:s3cret@/x", "http://ada:s3cret@host:port/x"} {
		if _, err := Open(Source{URL: raw}, Options{Cache: t.TempDir()}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestIsRemote(t *testing.T) {
	for raw, want := range map[string]bool{
		".": false, "/a/b": false, "./a:b": false, "a/b": false, "file:///a": false, "C:\\x": false,
		"https://h/x": true, "ssh://git@h/x": true, "git@h:x/y.git": true, "h.example.com:x": true,
	} {
		if IsRemote(raw) != want {
			t.Errorf("%s: %v", raw, !want)
		}
	}
}

func TestPolling(t *testing.T) {
	_, url, _ := published(t)
	ticks, waits := make(chan time.Time), make(chan time.Duration)
	r, err := Open(Source{URL: url}, Options{
		Cache: t.TempDir(), Interval: 10 * time.Second, Jitter: func() float64 { return 0.5 },
		After: func(d time.Duration) <-chan time.Time { waits <- d; return ticks },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	hints, err := r.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d := <-waits; d != 10500*time.Millisecond {
		t.Errorf("waits %v", d)
	}
	ticks <- time.Time{}
	awaitHint(t, hints)
	<-waits
	cancel()
	for range hints {
		t.Error("a hint after the end")
	}
}
