package forge

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	hookPath   = "dGhpcy1pcy11bmd1ZXNzYWJsZQ"
	hookSecret = "canary-5f1c-secret"
)

func sign(secret string, body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

var pushBody = []byte(`{"ref": "refs/heads/main", "after": "2222222222222222222222222222222222222222", "repository": {"clone_url": "https://example.com/team-a/shop.git"}}`)
var labBody = []byte(`{"object_kind": "push", "ref": "refs/heads/main", "after": "2222222222222222222222222222222222222222", "project": {"git_http_url": "https://example.com/team-a/shop.git"}}`)

// unread fails the test when the body is read before the cheap checks are over.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestReceiver(t *testing.T) {
	type call struct {
		name    string
		kind    Kind
		method  string
		path    string
		header  map[string]string
		body    io.Reader
		want    int
		secrets []string
	}
	good := "sha256=" + sign(hookSecret, pushBody)
	never := unread{t}
	for _, c := range []call{
		{name: "github", kind: GitHub, header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": good}, want: 202},
		{name: "second secret", kind: GitHub, header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": good}, secrets: []string{"old", hookSecret}, want: 202},
		{name: "gitea", kind: Gitea, header: map[string]string{"X-Gitea-Event": "push", "X-Gitea-Signature": sign(hookSecret, pushBody)}, want: 202},
		{name: "gitea as github", kind: Gitea, header: map[string]string{"X-Gitea-Event": "push", "X-Hub-Signature-256": good}, want: 202},
		{name: "forgejo", kind: Gitea, header: map[string]string{"X-Forgejo-Event": "push", "X-Forgejo-Signature": sign(hookSecret, pushBody)}, want: 202},
		{name: "gitlab", kind: GitLab, header: map[string]string{"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": hookSecret}, body: bytes.NewReader(labBody), want: 202},
		{name: "generic", kind: Generic, header: map[string]string{"X-Signature": "sha256=" + sign(hookSecret, []byte(`{}`))}, body: strings.NewReader(`{}`), want: 202},
		{name: "of no interest", kind: GitHub, header: map[string]string{"X-GitHub-Event": "star", "X-Hub-Signature-256": good}, want: 202},
		{name: "charset", kind: GitHub, header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": good, "Content-Type": "application/json; charset=utf-8"}, want: 202},

		{name: "no such path", kind: GitHub, path: "/dGhpcy1pcy11bmd1ZXNzYWJsZX", header: map[string]string{"X-Hub-Signature-256": good}, body: never, want: 404},
		{name: "prefix of the path", kind: GitHub, path: "/" + hookPath[:20], body: never, want: 404},
		{name: "GET", kind: GitHub, method: "GET", body: never, want: 405},
		{name: "form", kind: GitHub, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "X-Hub-Signature-256": good}, body: never, want: 415},
		{name: "no signature", kind: GitHub, header: map[string]string{"X-GitHub-Event": "push"}, body: never, want: 401},
		{name: "SHA-1 alone", kind: GitHub, header: map[string]string{"X-Hub-Signature": "sha1=" + strings.Repeat("a", 40)}, body: never, want: 401},
		{name: "half a signature", kind: GitHub, header: map[string]string{"X-Hub-Signature-256": good[:40]}, body: never, want: 401},
		{name: "bare signature", kind: GitHub, header: map[string]string{"X-Hub-Signature-256": sign(hookSecret, pushBody)}, body: never, want: 401},
		{name: "wrong secret", kind: GitHub, header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=" + sign("guess", pushBody)}, want: 401},
		{name: "other body", kind: GitHub, header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": good}, body: strings.NewReader(`{}`), want: 401},
		{name: "wrong token", kind: GitLab, header: map[string]string{"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "guess"}, body: never, want: 401},
		{name: "no token", kind: GitLab, header: map[string]string{"X-Gitlab-Event": "Push Hook"}, body: never, want: 401},
		{name: "signature for a token", kind: GitLab, header: map[string]string{"X-Hub-Signature-256": good}, body: never, want: 401},
		{name: "cut off", kind: GitHub, header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=" + sign(hookSecret, pushBody[:30])}, body: bytes.NewReader(pushBody[:30]), want: 400},
		{name: "breaks off", kind: GitHub, header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": good}, body: io.MultiReader(bytes.NewReader(pushBody[:30]), broken{}), want: 400},
		{name: "too long without a length", kind: GitHub, header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": good},
			body: io.LimitReader(zeros{}, maxHook+1), want: 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			var refusals []string
			r := NewReceiver(ReceiverOptions{Refused: func(_ string, status int, why string) { refusals = append(refusals, fmt.Sprint(status, " ", why)) }})
			if c.secrets == nil {
				c.secrets = []string{hookSecret}
			}
			setHooks(t, r, Hook{Name: "shop", Path: hookPath, Kind: c.kind, Secrets: c.secrets})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go r.Run(ctx, func(Hint) {})
			if c.method == "" {
				c.method = "POST"
			}
			if c.path == "" {
				c.path = "/" + hookPath
			}
			if c.body == nil {
				c.body = bytes.NewReader(pushBody)
			}
			q := httptest.NewRequest(c.method, c.path, c.body)
			q.Header.Set("Content-Type", "application/json")
			for k, v := range c.header {
				q.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			r.ServeHTTP(w, q)
			if w.Code != c.want {
				t.Errorf("answer %d, want %d (%v)", w.Code, c.want, refusals)
			}
			if w.Body.Len() > 0 {
				t.Errorf("it says %q", w.Body)
			}
			if (c.want == 202) != (len(refusals) == 0) {
				t.Errorf("told of %q", refusals)
			}
			if all := fmt.Sprint(refusals); strings.Contains(all, hookSecret) || strings.Contains(all, "refs/heads") || strings.Contains(all, hookPath) {
				t.Errorf("a refusal has something of the request: %s", all)
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("reset") }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func setHooks(t *testing.T, r *Receiver, hooks ...Hook) {
	t.Helper()
	if err := r.SetHooks(hooks); err != nil {
		t.Fatal(err)
	}
}

func TestLengthIsCheckedBeforeReading(t *testing.T) {
	r := NewReceiver(ReceiverOptions{})
	setHooks(t, r, Hook{Name: "shop", Path: hookPath, Kind: GitHub, Secrets: []string{hookSecret}})
	q := httptest.NewRequest("POST", "/"+hookPath, unread{t})
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("X-Hub-Signature-256", "sha256="+sign(hookSecret, nil))
	q.ContentLength = maxHook + 1
	w := httptest.NewRecorder()
	r.ServeHTTP(w, q)
	if w.Code != 413 {
		t.Errorf("answer %d, want 413", w.Code)
	}
}

// TestThousandHooks sends them over HTTP, as a host would, and from one that is replayed.
func TestThousandHooks(t *testing.T) {
	r := NewReceiver(ReceiverOptions{})
	setHooks(t, r, Hook{Name: "shop", Path: hookPath, Kind: GitHub, Secrets: []string{hookSecret}})
	hints := make(chan Hint, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx, func(h Hint) { hints <- h })
	server := httptest.NewServer(http.StripPrefix("/hook", r))
	defer server.Close()
	var group sync.WaitGroup
	for worker := range 20 {
		group.Go(func() {
			for i := range 50 {
				body := fmt.Appendf(nil, `{"ref": "refs/heads/b%d", "after": %q, "nth": %d, "repository": {"clone_url": "https://example.com/team-a/shop.git"}}`, worker, commit('a'+byte(i%6)), i)
				q, _ := http.NewRequest("POST", server.URL+"/hook/"+hookPath, bytes.NewReader(body))
				q.Header.Set("Content-Type", "application/json")
				q.Header.Set("X-GitHub-Event", "push")
				q.Header.Set("X-Hub-Signature-256", "sha256="+sign(hookSecret, body))
				res, err := http.DefaultClient.Do(q)
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.StatusCode != 202 {
					t.Errorf("answer %d", res.StatusCode)
				}
			}
		})
	}
	group.Wait()
	hooks, n, refs := 0, 0, map[string]bool{}
	for hooks < 1000 {
		select {
		case h := <-hints:
			n++
			hooks += h.Hooks
			for _, r := range h.Refs {
				refs[r.Ref] = true
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of 1000 hooks are in hints", hooks)
		}
	}
	if len(refs) != 20 {
		t.Errorf("%d of 20 branches are in the hints", len(refs))
	}
	if n > 20 { // a loaded machine makes pauses
		t.Errorf("%d hints for one burst", n)
	}
	t.Logf("1000 hooks made %d hints", n)
}

func TestNobodyTakesHooks(t *testing.T) {
	r := NewReceiver(ReceiverOptions{})
	setHooks(t, r, Hook{Name: "shop", Path: hookPath, Kind: GitHub, Secrets: []string{hookSecret}})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q := httptest.NewRequestWithContext(ctx, "POST", "/"+hookPath, bytes.NewReader(pushBody))
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("X-GitHub-Event", "push")
	q.Header.Set("X-Hub-Signature-256", "sha256="+sign(hookSecret, pushBody))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, q)
	if w.Code != 503 {
		t.Errorf("answer %d, want 503", w.Code)
	}
}

func TestSetHooksRefuses(t *testing.T) {
	ok := Hook{Name: "ok", Path: hookPath, Kind: GitHub, Secrets: []string{hookSecret}}
	for name, hooks := range map[string][]Hook{
		"short path": {{Name: "x", Path: "short", Kind: GitHub, Secrets: []string{hookSecret}}},
		"slash":      {{Name: "x", Path: hookPath + "/x", Kind: GitHub, Secrets: []string{hookSecret}}},
		"no kind":    {{Name: "x", Path: hookPath, Secrets: []string{hookSecret}}},
		"no secret":  {{Name: "x", Path: hookPath, Kind: GitHub}},
		"empty":      {{Name: "x", Path: hookPath, Kind: GitHub, Secrets: []string{hookSecret, ""}}},
		"twice":      {ok, {Name: "x", Path: hookPath, Kind: GitLab, Secrets: []string{hookSecret}}},
	} {
		err := NewReceiver(ReceiverOptions{}).SetHooks(hooks)
		if err == nil {
			t.Errorf("%s: taken", name)
		} else if strings.Contains(err.Error(), hookSecret) || strings.Contains(err.Error(), hookPath) {
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
}
