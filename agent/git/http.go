package git

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"headgate.dev/agent/git/internal/bound"
	"headgate.dev/agent/git/internal/dial"
)

// httpPeer is reached by go-git's http transport, over a client of our own: that is where answers are bounded and
// redirects refused.
type httpPeer struct {
	bounds
	base      transport.Endpoint // without user
	auth      transport.AuthMethod
	token     func(ctx context.Context, refused string) (string, error) // nil: auth is what is sent
	proxied   bool
	transport *http.Transport
	client    transport.Transport
}

func newHTTP(u *url.URL, a Auth, proxy *url.URL, b bounds) (*httpPeer, error) {
	t := &httpPeer{bounds: b}
	base := *u
	base.User, base.RawQuery, base.Fragment = nil, "", ""
	ep, err := transport.NewEndpoint(base.String())
	if err != nil {
		return nil, fmt.Errorf("opening %s: the URL cannot be used", b.url)
	}
	t.base = *ep
	t.base.Path = strings.TrimSuffix(base.EscapedPath(), "/")
	if u.User != nil && a.Username == "" && a.BearerToken == "" {
		a.Username = u.User.Username()
		a.Password, _ = u.User.Password()
	}
	switch {
	case a.BearerToken != "":
		t.auth = &githttp.TokenAuth{Token: a.BearerToken}
	case a.Username != "" || a.Password != "":
		t.auth = &githttp.BasicAuth{Username: a.Username, Password: a.Password}
	}
	t.transport = http.DefaultTransport.(*http.Transport).Clone()
	if proxy != nil {
		t.transport.Proxy, t.proxied = http.ProxyURL(proxy), true
	}
	t.transport.ResponseHeaderTimeout = time.Minute
	if t.transport.TLSClientConfig, err = dial.TLS(a.CA, a.ClientCert, a.ClientKey); err != nil {
		return nil, &AuthError{URL: b.url, Err: err}
	}
	t.client = githttp.NewClient(&http.Client{Transport: t, CheckRedirect: t.checkRedirect})
	return t, nil
}

// checkRedirect lets a server rename a repository or move from http to https, on its own host. The refused request is
// never sent, so no credential reaches another host. go-git refuses redirects of anything but the first request.
func (t *httpPeer) checkRedirect(to *http.Request, via []*http.Request) error {
	from := via[0].URL
	same := to.URL.Host == from.Host && to.URL.Scheme == from.Scheme
	upgrade := from.Scheme == "http" && to.URL.Scheme == "https" && from.Port() == "" && to.URL.Host == from.Host
	if !same && !upgrade {
		return &UnsupportedError{Doing: "asking " + t.url, What: "a redirect to " + display(to.URL),
			Remedy: "if that is where the repository is now, use that URL"}
	}
	return nil
}

// RoundTrip implements http.RoundTripper for go-git.
func (t *httpPeer) RoundTrip(q *http.Request) (*http.Response, error) {
	res, err := t.transport.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	want, body := "application/x-git-upload-pack-advertisement", t.listing(res.Body)
	if q.Method == http.MethodPost {
		want, body = "application/x-git-upload-pack-result", t.fetched(res.Body)
	}
	if got := res.Header.Get("Content-Type"); res.StatusCode == http.StatusOK && got != want {
		_ = res.Body.Close() // nothing of it is wanted
		return nil, fmt.Errorf("the server answers with %.60q, which is not Git's smart protocol: is this a repository's URL?", got)
	}
	res.Body = bound.Body{Reader: body, Closer: res.Body}
	return res, nil
}

func (t *httpPeer) open(ctx context.Context) (session, error) {
	s := &httpSession{peer: t}
	return s, s.begin(ctx, "")
}

// begin makes a session with the token that there is now, if there are any.
func (s *httpSession) begin(ctx context.Context, refused string) error {
	t := s.peer
	ep, auth := t.base, t.auth // go-git changes the endpoint on a redirect
	if t.token != nil {
		var err error
		if s.token, err = t.token(ctx, refused); err != nil {
			return &AuthError{URL: t.url, Err: fmt.Errorf("getting a token: %w", err)}
		}
		auth = &githttp.BasicAuth{Username: "x-access-token", Password: s.token} // as GitHub wants it
	}
	var err error
	if s.UploadPackSession, err = t.client.NewUploadPackSession(&ep, auth); err != nil {
		return fmt.Errorf("asking %s: %w", t.url, err)
	}
	return nil
}

func (t *httpPeer) close() { t.transport.CloseIdleConnections() }

// httpSession is go-git's, with errors that name no credentials and have the types of this package.
type httpSession struct {
	transport.UploadPackSession
	peer  *httpPeer
	token string // that was sent, if it came from httpPeer.token
}

func (s *httpSession) AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error) {
	refs, err := s.UploadPackSession.AdvertisedReferencesContext(ctx)
	if refused := s.token; refused != "" && errors.Is(err, transport.ErrAuthenticationRequired) {
		_ = s.Close() // nothing of it is needed any more
		if err := s.begin(ctx, refused); err != nil {
			return nil, err
		}
		if s.token != refused {
			refs, err = s.UploadPackSession.AdvertisedReferencesContext(ctx)
		}
	}
	return refs, s.peer.explain(err)
}

func (s *httpSession) UploadPack(ctx context.Context, q *packp.UploadPackRequest) (io.ReadCloser, error) {
	res, err := s.UploadPackSession.UploadPack(ctx, q)
	return res, s.peer.explain(err)
}

func (t *httpPeer) explain(err error) error {
	var unexpected *plumbing.UnexpectedError // it does not unwrap
	if errors.As(err, &unexpected) {
		err = unexpected.Err
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if refusal := t.explainTLS(err); refusal != nil {
		return refusal
	}
	var status *githttp.Err
	anonymous := t.auth == nil && t.token == nil
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired) && anonymous:
		return t.refuse("the server wants credentials (401): give a username and password, or a token")
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return t.refuse("the server refuses these credentials (401): they are wrong, have expired or were revoked; give new ones")
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return t.refuse("the server knows these credentials and refuses them (403): give them read access to the repository")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return &NotFoundError{Where: t.url, Hint: "many servers also say so of repositories these credentials may not see"}
	case t.refusedByProxy(err):
		return t.refuse("the proxy wants other credentials (407): give the username and password of the proxy")
	case errors.As(err, &status):
		return fmt.Errorf("asking %s: the server answers %s", t.url, status.Response.Status)
	}
	return err
}

// explainTLS is for what goes wrong before anything is asked; nil for everything else.
func (t *httpPeer) explainTLS(err error) error {
	var unknown x509.UnknownAuthorityError
	var cert *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.As(err, &unknown):
		return t.refuse("its certificate is not trusted: %w: if its authority is one of your own, or was replaced, give the authority's certificate (ca.crt)", err)
	case errors.As(err, &cert):
		return t.refuse("its certificate is not trusted: %w", err)
	case errors.As(err, &op) && op.Op == "remote error": // an alert of TLS
		return t.refuse("the server ends the handshake (%w): it may want a client certificate, or another one (tls.crt, tls.key)", op.Err)
	}
	return nil
}

// refusedByProxy: over http the proxy answers in the place of the server; for a connection net/http gives a text alone.
func (t *httpPeer) refusedByProxy(err error) bool {
	var status *githttp.Err
	if errors.As(err, &status) {
		return status.Response.StatusCode == http.StatusProxyAuthRequired
	}
	return t.proxied && err != nil && strings.Contains(err.Error(), http.StatusText(http.StatusProxyAuthRequired))
}

func (t *httpPeer) refuse(format string, args ...any) error {
	return &AuthError{URL: t.url, Err: fmt.Errorf(format, args...)}
}
