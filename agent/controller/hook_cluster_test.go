//go:build cluster

package controller

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/schema"
)

// hookSender sends webhooks as a generic sender does.
type hookSender struct {
	w            *world
	address      string
	path, secret string
}

// send gives the status that the webhook was answered with.
func (h *hookSender) send(body map[string]any) int {
	text, err := json.Marshal(body)
	if err != nil {
		h.w.Error(err)
		return 0
	}
	q, err := http.NewRequestWithContext(h.w.Context(), http.MethodPost, "http://"+h.address+h.path, bytes.NewReader(text))
	if err != nil {
		h.w.Error(err)
		return 0
	}
	m := hmac.New(sha256.New, []byte(h.secret))
	m.Write(text)
	q.Header.Set("X-Signature", "sha256="+hex.EncodeToString(m.Sum(nil)))
	q.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		h.w.Error(err)
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// settingsFile is a file with an object that is healthy as soon as it is there.
func settingsFile(value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {value: " + value + "}\n"
}

// hooked makes a Sync that never looks by itself, and a sender of webhooks for it.
func (w *world) hooked(repo *repository, address string) (*schema.Sync, *hookSender) {
	w.Helper()
	h := &hookSender{w: w, address: address, secret: "canary-hook-token-1"}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hook"}, StringData: map[string]string{"token": h.secret}}
	w.must(w.Create(w.Context(), secret))
	s := repo.sync("shop", func(spec *schema.SyncSpec) {
		spec.Interval, spec.Ref = "24h", &schema.SyncRef{Branch: "main"}
		spec.Forge = &schema.SyncForge{Kind: schema.ForgeGeneric, HookSecretRef: &schema.SyncSecret{Name: "hook"}}
	})
	w.Cleanup(func() { // while there is an agent, whose finalizer would hold the namespace otherwise
		for w.Delete(context.Background(), s) == nil {
			<-time.After(20 * time.Millisecond)
		}
	})
	h.path = w.hookPath(s, "")
	return s, h
}

// hookPath waits until the path of a Sync's webhooks is another one than before.
func (w *world) hookPath(s *schema.Sync, before string) string {
	w.Helper()
	now := &schema.Sync{}
	w.until("the path for webhooks", func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(s), now); err != nil {
			return err
		}
		if f := now.Status.Forge; f == nil || f.HookPath == "" || f.HookPath == before {
			return fmt.Errorf("it is %+v", f)
		}
		return nil
	})
	return now.Status.Forge.HookPath
}

// TestClusterHooks: a webhook brings a commit that nobody looks for otherwise, a thousand bring it once, and one that comes before its commit waits for it.
func TestClusterHooks(t *testing.T) {
	w := newWorld(t, "headgate-hook-test")
	repo := w.repository()
	first := repo.commit("Begin", "shop.yaml", settingsFile("shop"))
	address := freeAddress(t)
	w.start(Options{HookAddress: address})
	s, h := w.hooked(repo, address)
	w.condition(s, schema.SyncLive, metav1.ConditionTrue, "", first)
	push := func(ref, commit string) map[string]any {
		return map[string]any{"repository": repo.url, "ref": ref, "commit": commit, "pushed": time.Now().Add(-500 * time.Millisecond)}
	}

	second := repo.commit("Move", "shop.yaml", settingsFile("two"))
	if got := h.send(push("refs/heads/main", second)); got != http.StatusAccepted {
		t.Fatalf("the webhook was answered %d", got)
	}
	now := w.condition(s, schema.SyncLive, metav1.ConditionTrue, "", second)
	hook, err := time.ParseDuration(now.Status.Live.Stages.Hook)
	if err != nil || hook < 490*time.Millisecond || hook > 10*time.Second {
		t.Errorf("the stage hook took %q", now.Status.Live.Stages.Hook)
	}

	// What does not concern the Sync costs nothing; what is not signed is not taken. The last one is taken, so that the others have been.
	before := repo.requests.Load()
	wrong, elsewhere := *h, *h
	wrong.secret, elsewhere.path = "canary-hook-token-2", h.path[:len(h.path)-1]
	h.send(push("refs/heads/other", second))
	h.send(map[string]any{"repository": "https://git.example.com/team/blog", "ref": "refs/heads/main"})
	if got := wrong.send(push("refs/heads/main", second)); got != http.StatusUnauthorized {
		t.Errorf("another secret: %d", got)
	}
	if got := elsewhere.send(push("refs/heads/main", second)); got != http.StatusNotFound {
		t.Errorf("another path: %d", got)
	}

	third := repo.commit("Move again", "shop.yaml", settingsFile("three"))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 50 {
				if got := h.send(push("refs/heads/main", third)); got != http.StatusAccepted {
					t.Errorf("one of a thousand: %d", got)
				}
			}
		})
	}
	all.Wait()
	w.ready(s, third)
	// A fetch is a list of references and a pack; a burst of several seconds may bring a further list each second.
	if n := repo.requests.Load() - before; n > 12 {
		t.Errorf("a thousand webhooks cost %d requests to the repository", n)
	}

	// A commit that is announced before it can be seen.
	repo.git("checkout", "-q", "--detach")
	fourth := repo.commit("Announced", "shop.yaml", settingsFile("four"))
	before = repo.requests.Load()
	h.send(push("refs/heads/main", fourth))
	w.until("somebody looks for it", func(context.Context) error { return lessThan(before+1, repo.requests.Load()) })
	repo.git("update-ref", "refs/heads/main", fourth)
	w.ready(s, fourth)

	// Another token is another path, and the old one is none any more.
	old := *h
	w.must(w.Update(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hook"}, StringData: map[string]string{"token": "canary-hook-token-2"}}))
	w.hookPath(s, old.path)
	if got := old.send(push("refs/heads/main", fourth)); got != http.StatusNotFound {
		t.Errorf("the old path: %d", got)
	}
	w.must(client.IgnoreNotFound(w.Delete(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hook"}})))
	w.until("the status says that the Secret is gone", func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(s), now); err != nil {
			return err
		}
		if f := now.Status.Forge; f == nil || f.HookPath != "" || !strings.Contains(f.HookMessage, "Secret hook: there is none") {
			return fmt.Errorf("it is %+v", f)
		}
		return nil
	})
	if strings.Contains(w.log.String(), "canary") {
		t.Error("a token is in the log")
	}
}
