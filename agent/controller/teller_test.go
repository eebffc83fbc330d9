package controller

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"headgate.dev/agent"
	"headgate.dev/agent/forge"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

const commitA, commitB = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

// statusHost is a Gitea as far as commit statuses go.
type statusHost struct {
	*httptest.Server
	mu    sync.Mutex
	token string
	told  []string      // "commit state description"
	hold  chan struct{} // requests wait for it, unless it is nil
	posts chan struct{} // one for each status that was set
}

func newStatusHost(t *testing.T) *statusHost {
	h := &statusHost{token: "canary-1", posts: make(chan struct{}, 100)}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

// ServeHTTP answers what Gitea answers.
func (h *statusHost) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	h.mu.Lock()
	hold, token := h.hold, h.token
	h.mu.Unlock()
	if hold != nil {
		<-hold
	}
	commit, isStatus := strings.CutPrefix(q.URL.Path, "/api/v1/repos/team/shop/statuses/")
	switch {
	case q.Header.Get("Authorization") != "Bearer "+token:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"message":"invalid username, password or token"}`)
	case q.Method == http.MethodGet:
		_, _ = io.WriteString(w, "[]")
	case q.Method == http.MethodPost && isStatus:
		var s struct{ State, Context, Description string }
		_ = json.NewDecoder(q.Body).Decode(&s)
		h.mu.Lock()
		h.told = append(h.told, commit[:7]+" "+s.Context+" "+s.State+": "+s.Description)
		h.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "{}")
		h.posts <- struct{}{}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (h *statusHost) wait(t *testing.T, n int) string {
	t.Helper()
	for range n {
		select {
		case <-h.posts:
		case <-time.After(20 * time.Second):
			t.Fatalf("only told %q", h.told)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.told, "\n")
}

// secrets is an account that may read one Secret.
type secrets struct {
	agent.Account
	mu   sync.Mutex
	data map[string][]byte
}

// Secret implements agent.Reader.
func (s *secrets) Secret(context.Context, string, string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil {
		return nil, errors.New("there is none")
	}
	return s.data, nil
}

func (s *secrets) set(data map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
}

func tellingAgent(t *testing.T, s *schema.Sync) (*Agent, *secrets) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := schema.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(s).WithStatusSubresource(s).Build()
	account := &secrets{data: map[string][]byte{"token": []byte("canary-1")}}
	a := &Agent{client: c, statuses: newStatuses(c), log: slog.New(slog.DiscardHandler), telling: make(chan struct{}, 1)}
	a.world.Account = func(plan.Owner, string) (agent.Account, error) { return account, nil }
	return a, account
}

func statusAt(commit string, live bool) *schema.SyncStatus {
	s := &schema.SyncStatus{AttemptedRevision: "main@sha1:" + commit}
	if live {
		s.Revision = s.AttemptedRevision
		s.Conditions = []metav1.Condition{{Type: schema.SyncLive, Status: metav1.ConditionTrue, Reason: agent.ReasonLive}}
		s.Live = &schema.SyncLiveStatus{Revision: s.Revision, Took: "740ms", Gateways: []schema.SyncGatewayStatus{{Acked: 3, Total: 3}}}
	}
	return s
}

func TestTeller(t *testing.T) {
	host := newStatusHost(t)
	s := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", Generation: 1},
		Spec: schema.SyncSpec{URL: host.URL + "/team/shop.git", ServiceAccountName: "deployer", Forge: &schema.SyncForge{Kind: "gitea", SecretRef: &schema.SyncSecret{Name: "forge"}}}}
	a, account := tellingAgent(t, s)
	x := &actor{agent: a, owner: ownerOf(s)}
	x.tellHost(t.Context(), s, statusAt(commitA, false))
	host.wait(t, 1)
	x.tellHost(t.Context(), s, statusAt(commitA, true))
	x.tellHost(t.Context(), s, statusAt(commitA, true))
	if got, want := host.wait(t, 1), "aaaaaaa headgate/shop/cart pending: on its way\naaaaaaa headgate/shop/cart success: live on 3 of 3 Envoys in 0.7 s"; got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}

	// The host is slow: nobody waits for it, and of what happens meanwhile the last is told.
	hold := make(chan struct{})
	host.mu.Lock()
	host.hold = hold
	host.mu.Unlock()
	x.tellHost(t.Context(), s, statusAt(commitB, false))
	for range 1000 {
		x.tellHost(t.Context(), s, statusAt(commitB, false))
	}
	x.tellHost(t.Context(), s, statusAt(commitB, true))
	host.mu.Lock()
	host.hold, host.told = nil, nil
	host.mu.Unlock()
	close(hold)
	x.teller.mu.Lock()
	want := x.teller.want
	x.teller.mu.Unlock()
	for got := ""; !strings.HasSuffix(got, want.Text); {
		got = host.wait(t, 1)
		if strings.Count(got, "\n") > 1 {
			t.Errorf("told %q", got)
		}
	}

	// The token is revoked: the status says so, until there is another one.
	host.mu.Lock()
	host.token = "canary-2"
	host.mu.Unlock()
	x.tellHost(t.Context(), s, statusAt(strings.Repeat("c", 40), true))
	message := func() string {
		now := &schema.Sync{}
		if err := a.client.Get(t.Context(), client.ObjectKeyFromObject(s), now); err != nil {
			t.Fatal(err)
		}
		if now.Status.Forge == nil {
			return ""
		}
		return now.Status.Forge.Message
	}
	eventually(t, func() bool { return strings.Contains(message(), "unauthorized (401)") })
	if strings.Contains(message(), "canary") {
		t.Error(message())
	}
	account.set(map[string][]byte{"token": []byte("canary-2")})
	host.wait(t, 1)
	eventually(t, func() bool { return message() == "" })
}

// eventually waits for something that happens in another goroutine.
func eventually(t *testing.T, f func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-end:
			t.Fatal("it does not come")
		case <-tick.C:
		}
	}
}

func TestPauseAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	limited := &forge.Error{Reason: forge.RateLimited, Until: now.Add(20 * time.Minute)}
	for name, c := range map[string]struct {
		err      error
		failures int
		min, max time.Duration
	}{
		"limited":          {limited, 1, 20 * time.Minute, 21 * time.Minute},
		"away":             {&forge.Error{Reason: forge.Unavailable}, 1, 500 * time.Millisecond, time.Second},
		"away for long":    {&forge.Error{Reason: forge.Unavailable}, 30, 5 * time.Minute, 10 * time.Minute},
		"refused":          {&forge.Error{Reason: forge.Forbidden}, 1, 500 * time.Millisecond, time.Second},
		"refused for long": {&forge.Error{Reason: forge.Forbidden}, 4, 9 * time.Minute, 11 * time.Minute},
		"no Secret":        {errors.New("there is none"), 4, 9 * time.Minute, 11 * time.Minute},
	} {
		for _, random := range []float64{0, 0.5, 0.999} {
			if got := pauseAfter(c.err, c.failures, now, random); got < c.min || got > c.max {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
}

func TestForgeConfig(t *testing.T) {
	for name, c := range map[string]struct {
		url, host string
		data      map[string][]byte
		want      string // URL and token, or the error
	}{
		"a token":        {"https://git.example.com/team/shop", "", map[string][]byte{"token": []byte("t\n")}, "https://git.example.com t"},
		"git's password": {"https://git.example.com:8443/team/shop", "", map[string][]byte{"username": []byte("ada"), "password": []byte("p")}, "https://git.example.com:8443 p"},
		"bearer":         {"http://git.example.com/team/shop", "", map[string][]byte{"bearerToken": []byte("b")}, "http://git.example.com b"},
		"ssh":            {"ssh://git@git.example.com:2222/team/shop", "", map[string][]byte{"token": []byte("t")}, "https://git.example.com t"},
		"short ssh":      {"git@git.example.com:team/shop", "", map[string][]byte{"token": []byte("t")}, "https://git.example.com t"},
		"another place":  {"git@git.example.com:team/shop", "https://www.example.com/git", map[string][]byte{"token": []byte("t")}, "https://www.example.com/git t"},
		"a key for ssh":  {"git@git.example.com:team/shop", "", map[string][]byte{"identity": []byte("k"), "known_hosts": []byte("h")}, "there is no token in it: put one there as token"},
	} {
		s := &schema.Sync{Spec: schema.SyncSpec{URL: c.url, Forge: &schema.SyncForge{Kind: "gitea", URL: c.host}}}
		cfg, err := forgeConfig(s, c.data)
		got := ""
		if err != nil {
			got = err.Error()
		} else if token, tokenErr := cfg.Token(t.Context(), ""); tokenErr == nil {
			got = cfg.URL + " " + token
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
