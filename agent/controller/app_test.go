package controller

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate.dev/agent/git"
)

// appHost is a Git host of GitHub's kind, as its documentation has it: an App proves who it is by an assertion of ten minutes at most, signed with its key,
// and gets a token of its installation, which is the password of Git.
type appHost struct {
	key     *rsa.PublicKey
	backend http.Handler
	minted  int
	problem string // with an assertion
}

const appToken = "ghs_canary-app-token"

func (h *appHost) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path == "/api/v3/app/installations/77/access_tokens" && q.Method == http.MethodPost {
		if h.problem = h.check(strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")); h.problem != "" {
			http.Error(w, `{"message":"A JSON web token could not be decoded"}`, http.StatusUnauthorized)
			return
		}
		h.minted++
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"token": appToken, "expires_at": time.Now().Add(time.Hour)})
		return
	}
	if user, password, _ := q.BasicAuth(); user != "x-access-token" || password != appToken {
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "who?", http.StatusUnauthorized)
		return
	}
	h.backend.ServeHTTP(w, q)
}

// check says what is wrong with an assertion.
func (h *appHost) check(assertion string) string {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "it has not three parts"
	}
	var claims struct {
		Iat, Exp int64
		Iss      string
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	sig, err2 := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Unix()
	switch {
	case errors.Join(err, err2) != nil:
		return fmt.Sprint(err, err2)
	case rsa.VerifyPKCS1v15(h.key, crypto.SHA256, digest[:], sig) != nil:
		return "the signature is not the App's"
	case claims.Iss != "12345" || claims.Iat > now || claims.Exp <= now || claims.Exp > now+600:
		return fmt.Sprintf("the claims are %+v", claims)
	}
	return ""
}

// TestAppSecret: with the Secret of a GitHub App a repository is read, by the token that its key gets; with another key it is not, and no
// error has a secret in it.
func TestAppSecret(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "repo")
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	run("init", "-q", "-b", "main", dir)
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("a: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("-C", dir, "add", "-A")
	run("-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", "Begin")
	execPath, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	pemOf := func() (*rsa.PrivateKey, []byte) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		return key, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	}
	key, text := pemOf()
	_, other := pemOf()
	host := &appHost{key: &key.PublicKey, backend: &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"), Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}}
	server := httptest.NewServer(host)
	t.Cleanup(server.Close)
	open := func(key []byte) *git.Repository {
		t.Helper()
		url := server.URL + "/repo/.git"
		auth, err := git.AuthFromSecret(url, map[string][]byte{
			"githubAppID": []byte("12345"), "githubAppInstallationID": []byte("77"), "githubAppPrivateKey": key,
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := git.Open(git.Source{URL: url, Auth: auth}, git.Options{Cache: t.TempDir(), App: appTokens})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	r := open(text)
	for range 2 {
		c, err := r.Resolve(t.Context())
		if err != nil {
			t.Fatalf("%v (%s)", err, host.problem)
		}
		if data, err := c.Tree.ReadFile("a.yaml"); err != nil || string(data) != "a: 1\n" {
			t.Errorf("%q, %v", data, err)
		}
	}
	if host.minted != 1 {
		t.Errorf("%d tokens were made", host.minted)
	}
	var denied *git.AuthError
	if _, err := open(other).Resolve(t.Context()); !errors.As(err, &denied) || strings.Contains(err.Error(), "canary") || host.problem == "" {
		t.Errorf("with another key: %v", err)
	}
}
