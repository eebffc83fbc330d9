package forge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Kind is the kind of a host: whose API it speaks, and how it signs its hooks.
type Kind string

// The kinds. Generic is for hooks alone, of whatever can sign a body.
const (
	GitHub  Kind = "github"
	Gitea   Kind = "gitea" // Forgejo too
	GitLab  Kind = "gitlab"
	Generic Kind = "generic"
)

// Config says which host, and as whom. Kind and URL are required.
type Config struct {
	Kind Kind
	// URL is where people find the host, as in "https://github.com" or "https://example.com/gitea".
	URL string
	// API is the root of its API, where it is not the usual one for the URL.
	API string
	// User is the account that Token belongs to. When empty the host is asked once, where a comment is to be found again; tokens of
	// GitHub Apps cannot be asked, and then any bot's comment with the marker is taken for ours.
	User string
	// Token gives the token for a request; nil asks anonymously. It is called for each request and should be fast: keep the token. When the host
	// refused one, it is called once more with that one, and another token from it is tried once.
	Token func(ctx context.Context, refused string) (string, error)
	// CA are certificates in PEM, trusted besides the system's. Not together with Transport.
	CA []byte
	// Proxy is what the host is reached through: http, https or socks5, with user and password where it wants them. Nil is the one of the environment,
	// if any. Not together with Transport.
	Proxy *url.URL
	// Transport carries the requests; nil is a new one of net/http.
	Transport http.RoundTripper
	// Timeout bounds each request, its body included. 0 is 30 s.
	Timeout time.Duration
	// Now is the clock, for limits of the host; nil is the machine's.
	Now func() time.Time
}

// Client speaks with one host as one account. It may be used by several goroutines, and one for each account is best: limits are the account's,
// and what is remembered saves requests. Nothing is tried again by itself, apart from a refused token:
// whoever calls has a queue with backoff. Every error is an [*Error].
type Client struct {
	// constant
	kind  Kind
	web   *url.URL
	api   string // without a slash at the end
	host  host
	token func(ctx context.Context, refused string) (string, error)
	http  *http.Client
	now   func() time.Time
	// pageSize is how many entries of a list are asked for at once.
	pageSize int

	mu       sync.Mutex // guards what follows
	limits   limiter
	pages    *bounded[string, *answer]        // by path and query: answers with an ETag
	statuses *bounded[statusKey, Status]      // as the host has them
	comments *bounded[commentKey, ownComment] // as the host has them
	self     string
	// deployments are as the host shows them.
	deployments *bounded[deploymentKey, Deployment]
}

const (
	cachedBytes  = 16 << 20
	remembered   = 4096
	usualTimeout = 30 * time.Second
)

// host is what differs between kinds. Arguments are checked already.
type host interface {
	open(ctx context.Context, repo string) ([]PullRequest, error)
	changed(ctx context.Context, repo string, since time.Time) ([]PullRequest, error)
	pull(ctx context.Context, repo string, number int) (PullRequest, error)
	removeLabel(ctx context.Context, repo string, number int, label string) error
	listStatuses(ctx context.Context, repo, commit string) ([]Status, error)
	listChecks(ctx context.Context, repo, commit string) ([]Status, error)
	setStatus(ctx context.Context, repo, commit string, s Status) error
	listComments(ctx context.Context, repo string, number int, since time.Time) ([]Comment, error)
	comment(ctx context.Context, repo string, number int, id int64) (Comment, error)
	addComment(ctx context.Context, repo string, number int, body string) (int64, error)
	editComment(ctx context.Context, repo string, number int, id int64, body string) error
	permission(ctx context.Context, repo, user string) (Permission, error)
	commit(ctx context.Context, repo, id string) (Commit, error)
	setDeployment(ctx context.Context, repo string, d Deployment) error
}

// New checks the configuration; it does not connect.
func New(cfg Config) (*Client, error) {
	c := &Client{kind: cfg.Kind, token: cfg.Token, now: cfg.Now, self: cfg.User, pageSize: pageSize,
		pages:    newBounded[string](cachedBytes, func(a *answer) int { return len(a.body) + 512 }),
		statuses: newBounded[statusKey, Status](remembered, nil),
		comments: newBounded[commentKey, ownComment](remembered, nil), deployments: newBounded[deploymentKey, Deployment](remembered, nil)}
	if c.now == nil {
		c.now = time.Now
	}
	if err := c.locate(cfg); err != nil {
		return nil, err
	}
	transport, err := transportOf(cfg)
	if err != nil {
		return nil, fmt.Errorf("configuring the host %s: %w", c.web.Host, err)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = usualTimeout
	}
	c.http = &http.Client{Transport: transport, Timeout: cfg.Timeout, CheckRedirect: checkRedirect}
	return c, nil
}

// locate finds the API.
func (c *Client) locate(cfg Config) error {
	var err error
	if c.web, err = rootURL(cfg.URL); err != nil {
		return err
	}
	c.api = cfg.API
	if c.api == "" {
		c.api = strings.TrimSuffix(c.web.String(), "/")
		switch {
		case cfg.Kind == GitHub && strings.EqualFold(c.web.Host, "github.com"):
			c.api = "https://api.github.com"
		case cfg.Kind == GitHub:
			c.api += "/api/v3"
		case cfg.Kind == Gitea:
			c.api += "/api/v1"
		case cfg.Kind == GitLab:
			c.api += "/api/v4"
		}
	}
	if _, err := rootURL(c.api); err != nil {
		return err
	}
	c.api = strings.TrimSuffix(c.api, "/")
	switch cfg.Kind {
	case GitHub:
		c.host = hub{c, gitHubDialect}
	case Gitea:
		c.host = hub{c, giteaDialect}
	case GitLab:
		c.host = lab{c}
	default:
		return fmt.Errorf("configuring the host %s: its kind is %q; %s, %s and %s have an API", c.web.Host, cfg.Kind, GitHub, Gitea, GitLab)
	}
	return nil
}

func rootURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("configuring a host: its URL is not one of http or https")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("configuring the host %s: its URL has more in it than a path", u.Host)
	}
	return u, nil
}

func transportOf(cfg Config) (http.RoundTripper, error) {
	if cfg.Transport != nil {
		if len(cfg.CA) > 0 || cfg.Proxy != nil {
			return nil, errors.New("a transport of one's own has its own authorities and proxy")
		}
		return cfg.Transport, nil
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.MaxResponseHeaderBytes = 256 << 10
	if cfg.Proxy != nil {
		t.Proxy = http.ProxyURL(cfg.Proxy)
	}
	if len(cfg.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(cfg.CA) {
			return nil, errors.New("the CA bundle holds no certificate in PEM")
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return t, nil
}

// Limit is how many requests the host still takes, and when it counts afresh; known is false where it does not tell.
func (c *Client) Limit() (remaining int, reset time.Time, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limits.remaining, c.limits.reset, c.limits.known
}

func (c *Client) invalid(doing, why string) error {
	return &Error{Reason: Invalid, Doing: doing, Host: c.web.Host, Err: errors.New(why)}
}

// check is for what every method of a pull request takes.
func (c *Client) check(doing, repo string, number int) error {
	if number <= 0 {
		return c.invalid(doing, "pull requests are numbered from 1")
	}
	return c.checkRepository(doing, repo)
}

// checkCommit wants a whole id: a name could mean another commit a moment later.
func (c *Client) checkCommit(doing, repo, id string) error {
	if !isCommit(id) {
		return c.invalid(doing, "a commit is its whole id in hexadecimal")
	}
	return c.checkRepository(doing, repo)
}

func isCommit(id string) bool {
	if len(id) != 40 && len(id) != 64 {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}
