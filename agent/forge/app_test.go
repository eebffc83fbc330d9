package forge

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeApp is GitHub as far as Apps go: it checks assertions as its documentation says, and grants tokens that live for an hour.
type fakeApp struct {
	t       *testing.T
	url     string
	key     *rsa.PrivateKey
	id      string
	now     func() time.Time
	granted atomic.Int64
	answer  atomic.Int64 // a status to refuse with, unless it is 0
}

func newFakeApp(t *testing.T, now func() time.Time) *fakeApp {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeApp{t: t, key: key, id: "Iv1.8a61f9b3a7aba766", now: now}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *fakeApp) appKey() AppKey {
	return AppKey{ID: f.id, Installation: "42", PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(f.key)})}
}

func (f *fakeApp) app(k AppKey) *App {
	f.t.Helper()
	a, err := NewApp(Config{URL: f.url, Now: f.now}, k)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// ServeHTTP refuses what GitHub refuses, with its words.
func (f *fakeApp) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	say := func(status int, v object) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	text, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	if problem := f.assertion(text); problem != "" {
		say(http.StatusUnauthorized, object{"message": problem})
		return
	}
	switch {
	case q.Method != http.MethodPost || q.URL.Path != "/api/v3/app/installations/42/access_tokens":
		say(http.StatusNotFound, object{"message": "Not Found"})
	case f.answer.Load() != 0:
		say(int(f.answer.Load()), object{"message": "This installation has been suspended"})
	default:
		say(http.StatusCreated, object{"token": fmt.Sprint("canary-ghs-", f.granted.Add(1)), "expires_at": f.now().Add(time.Hour).UTC().Format(time.RFC3339)})
	}
}

func (f *fakeApp) assertion(text string) string {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return "A JSON web token could not be decoded"
	}
	var raw [3][]byte
	for i := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(parts[i]); err != nil {
			return "A JSON web token could not be decoded"
		}
	}
	var head struct{ Alg, Typ string }
	var claims struct {
		IAT, EXP int64
		ISS      string
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch {
	case json.Unmarshal(raw[0], &head) != nil || json.Unmarshal(raw[1], &claims) != nil || head.Alg != "RS256":
		return "A JSON web token could not be decoded"
	case rsa.VerifyPKCS1v15(&f.key.PublicKey, crypto.SHA256, digest[:], raw[2]) != nil:
		return "A JSON web token could not be decoded"
	case claims.ISS != f.id:
		return "Integration not found"
	case claims.IAT > f.now().Unix():
		return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	case claims.EXP <= f.now().Unix():
		return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
	case claims.EXP > f.now().Add(10*time.Minute).Unix():
		return "'Expiration time' claim ('exp') is too far in the future"
	}
	return ""
}

func TestAppTokens(t *testing.T) {
	at := &clock{noon}
	f := newFakeApp(t, at.now)
	a, ctx := f.app(f.appKey()), context.Background()
	ask := func(refused, want string, granted int64) {
		t.Helper()
		got, err := a.Token(ctx, refused)
		if err != nil || got != want || f.granted.Load() != granted {
			t.Errorf("%q after %d grants, %v; want %q after %d", got, f.granted.Load(), err, want, granted)
		}
	}
	ask("", "canary-ghs-1", 1)
	ask("", "canary-ghs-1", 1)
	at.at = noon.Add(54 * time.Minute)
	ask("", "canary-ghs-1", 1)
	at.at = noon.Add(55 * time.Minute)
	ask("", "canary-ghs-2", 2)
	ask("canary-ghs-1", "canary-ghs-2", 2) // somebody who still had the old one
	ask("canary-ghs-2", "canary-ghs-3", 3) // revoked
	var together sync.WaitGroup
	at.at = noon.Add(3 * time.Hour)
	for range 20 {
		together.Go(func() { _, _ = a.Token(ctx, "") })
	}
	together.Wait()
	ask("", "canary-ghs-4", 4)
}

// TestAppRefused: what an administrator of the organisation may do to an App, and what is said about it.
func TestAppRefused(t *testing.T) {
	at := &clock{noon}
	f := newFakeApp(t, at.now)
	ctx := context.Background()
	refused := func(a *App, reason Reason, want string) {
		t.Helper()
		_, err := a.Token(ctx, "")
		wantReason(t, err, reason)
		if err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary")) {
			t.Error(err)
		}
	}
	f.answer.Store(http.StatusForbidden)
	refused(f.app(f.appKey()), Forbidden, "the installation may be suspended")
	f.answer.Store(0)
	k := f.appKey()
	k.Installation = "43"
	refused(f.app(k), NotFound, "the installation may have been removed")
	k = f.appKey()
	k.ID = "another"
	refused(f.app(k), Unauthorized, "the id be another App's")
	a := f.app(f.appKey())
	a.now = func() time.Time { return noon.Add(-time.Hour) }
	refused(a, Unauthorized, "the clock here be wrong")
	a.now = func() time.Time { return noon.Add(time.Hour) }
	refused(a, Unauthorized, "the clock here be wrong")
}

func TestAppKeys(t *testing.T) {
	f := newFakeApp(t, time.Now)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(f.key)
	if err != nil {
		t.Fatal(err)
	}
	k := f.appKey()
	k.PrivateKey = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	k.API = f.url + "/api/v3"
	if _, err := f.app(k).Token(context.Background(), ""); err != nil {
		t.Error(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	for what, k := range map[string]AppKey{
		"not PEM":             {ID: "1", Installation: "42", PrivateKey: []byte("canary")},
		"not RSA":             {ID: "1", Installation: "42", PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
		"a path as the id":    {ID: "1", Installation: "42/../..", PrivateKey: f.appKey().PrivateKey},
		"no installation":     {ID: "1", PrivateKey: f.appKey().PrivateKey},
		"an API that is none": {ID: "1", Installation: "42", PrivateKey: f.appKey().PrivateKey, API: "ftp://x"},
	} {
		if _, err := NewApp(Config{URL: f.url}, k); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestProxy asks through a proxy, which sees the whole URL.
func TestProxy(t *testing.T) {
	f := newFake(t, GitHub)
	f.single["/pulls/7"] = hubPullJSON(7, 7, "open")
	through := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Proxy-Authorization") == "Basic YWRhOmNhbmFyeQ==" && "http://"+q.URL.Host == f.url {
			through++
		}
		f.ServeHTTP(w, q)
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("ada", "canary")
	if _, err := f.client(Config{Proxy: u}).PullRequest(context.Background(), "team-a/shop", 7); err != nil || through == 0 {
		t.Errorf("%d through the proxy, %v", through, err)
	}
	if _, err := New(Config{Kind: GitHub, URL: f.url, Proxy: u, Transport: http.DefaultTransport}); err == nil {
		t.Error("a proxy beside a transport")
	}
}
