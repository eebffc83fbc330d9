package git

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// httpPeer is reached by go-git's http transport, over a client of our own: that is where answers are bounded and
// redirects refused.
type httpPeer struct {
	bounds
	base      transport.Endpoint // without user
	auth      transport.AuthMethod
	transport *http.Transport
	client    transport.Transport
}

func newHTTP(u *url.URL, a Auth, b bounds) (*httpPeer, error) {
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
	t.transport.ResponseHeaderTimeout = time.Minute
	if t.transport.TLSClientConfig, err = tlsConfig(a); err != nil {
		return nil, &AuthError{URL: b.url, Err: err}
	}
	t.client = githttp.NewClient(&http.Client{Transport: t, CheckRedirect: t.checkRedirect})
	return t, nil
}

func tlsConfig(a Auth) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(a.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(a.CA) {
			return nil, errors.New("the CA bundle holds no certificate in PEM")
		}
		c.RootCAs = pool
	}
	if len(a.ClientCert) > 0 || len(a.ClientKey) > 0 {
		pair, err := tls.X509KeyPair(a.ClientCert, a.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
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
	res.Body = bodyOf{Reader: body, Closer: res.Body}
	return res, nil
}

func (t *httpPeer) open(context.Context) (session, error) {
	ep := t.base // go-git changes it on a redirect
	s, err := t.client.NewUploadPackSession(&ep, t.auth)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", t.url, err)
	}
	return &httpSession{UploadPackSession: s, peer: t}, nil
}

func (t *httpPeer) close() { t.transport.CloseIdleConnections() }

// httpSession is go-git's, with errors that name no credentials and have the types of this package.
type httpSession struct {
	transport.UploadPackSession
	peer *httpPeer
}

func (s *httpSession) AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error) {
	refs, err := s.UploadPackSession.AdvertisedReferencesContext(ctx)
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
	var cert *tls.CertificateVerificationError
	var status *githttp.Err
	switch {
	case errors.As(err, &cert):
		return &AuthError{URL: t.url, Err: fmt.Errorf("its certificate is not trusted: %w", err)}
	case errors.Is(err, transport.ErrAuthenticationRequired) && t.auth == nil:
		return &AuthError{URL: t.url, Err: errors.New("the server wants credentials (401)")}
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return &AuthError{URL: t.url, Err: errors.New("the server refuses these credentials (401)")}
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return &AuthError{URL: t.url, Err: errors.New("the server refuses these credentials (403)")}
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return &NotFoundError{Where: t.url, Hint: "many servers also say so of repositories these credentials may not see"}
	case errors.As(err, &status):
		return fmt.Errorf("asking %s: the server answers %s", t.url, status.Response.Status)
	}
	return err
}
