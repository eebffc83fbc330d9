package forge

import (
	"context"
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
	"net/http"
	"strings"
	"time"
)

const (
	// appAssertion is how long a signed assertion may be used; GitHub takes at most ten minutes, on its own clock.
	appAssertion = 8 * time.Minute
	// appSkew is how far our clock may be before GitHub's.
	appSkew = time.Minute
	// appReserve is how long before its end a token is replaced: longer than a request, or a fetch, lasts.
	appReserve = 5 * time.Minute
)

// AppKey is what a GitHub App authenticates with.
type AppKey struct {
	// ID is the App's id or client id, Installation the id of its installation at the owner of the repositories.
	ID, Installation string
	// PrivateKey is an RSA key in PEM, as GitHub gives it out.
	PrivateKey []byte
	// API is the root of the API, where it is not the usual one.
	API string
}

// App gets tokens for one installation of a GitHub App, and keeps each until shortly before its end (an hour, GitHub says).
type App struct {
	// constant
	id     string
	key    *rsa.PrivateKey
	path   string
	now    func() time.Time
	client *Client

	turn  chan struct{} // held by whoever looks at what follows
	token string
	until time.Time
}

// NewApp checks the configuration, of which Kind and Token are not needed; it does not connect.
func NewApp(cfg Config, k AppKey) (*App, error) {
	a := &App{id: k.ID, path: "/app/installations/" + k.Installation + "/access_tokens", now: cfg.Now, turn: make(chan struct{}, 1)}
	if a.now == nil {
		a.now = time.Now
	}
	if k.Installation == "" || strings.Trim(k.Installation, "0123456789") != "" {
		return nil, errors.New("configuring a GitHub App: the id of its installation (githubAppInstallationID) is not a number")
	}
	var err error
	if a.key, err = readRSA(k.PrivateKey); err != nil {
		return nil, fmt.Errorf("configuring the GitHub App %s: its private key (githubAppPrivateKey): %w", k.ID, err)
	}
	if k.API != "" {
		cfg.API = k.API
	}
	cfg.Kind, cfg.Token = GitHub, a.assertion
	if a.client, err = New(cfg); err != nil {
		return nil, err
	}
	return a, nil
}

// readRSA reads both forms of PEM that there are.
func readRSA(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	other, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := other.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("it is not an RSA key")
	}
	return key, nil
}

// assertion is the App's own token, with which it asks for others: a JWT (RFC 7519) signed with RS256.
func (a *App) assertion(context.Context, string) (string, error) {
	now := a.now()
	claims, err := json.Marshal(map[string]any{"iat": now.Add(-appSkew).Unix(), "exp": now.Add(appAssertion).Unix(), "iss": a.id})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing as the GitHub App %s: %w", a.id, err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// Token gives a token for the host's API and for Git, where the user is "x-access-token". It is what [Config.Token] wants: refused is a token
// that the host did not take, and is replaced before its time. Every error is an [*Error].
func (a *App) Token(ctx context.Context, refused string) (string, error) {
	q := request{doing: "getting a token of the GitHub App " + a.id, method: http.MethodPost, path: a.path}
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return "", a.client.failed(q, Unavailable, ctx.Err())
	}
	if a.token != "" && a.token != refused && a.now().Before(a.until) {
		return a.token, nil
	}
	var granted struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if _, err := a.client.call(ctx, q, &granted); err != nil {
		return "", a.explain(err)
	}
	if granted.Token == "" {
		return "", a.client.failed(q, Unexpected, errors.New("there is no token in it"))
	}
	a.token, a.until = granted.Token, granted.ExpiresAt.Add(-appReserve)
	return a.token, nil
}

// explain says what to do about a refusal.
func (a *App) explain(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	hint := map[Reason]string{
		Unauthorized: "the key may have been revoked, the id be another App's, or the clock here be wrong",
		Forbidden:    "the installation may be suspended",
		NotFound:     "the installation may have been removed",
	}[e.Reason]
	if hint == "" {
		return err
	}
	with := *e
	with.Err = errors.New(hint)
	if e.Err != nil {
		with.Err = fmt.Errorf("%s: %w", hint, e.Err)
	}
	return &with
}
