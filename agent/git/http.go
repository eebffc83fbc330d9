package git

import (
	"bytes"
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
)

// httpTransport speaks Git's smart protocol over http(s).
type httpTransport struct {
	client *http.Client
	url    string // for errors
	auth   Auth
	base   *url.URL // without user; moves with a redirect on the same host
}

const (
	agent      = "headgate"
	infoRefs   = "/info/refs"
	uploadPack = "/git-upload-pack"
)

func newHTTP(u *url.URL, a Auth) (*httpTransport, error) {
	t := &httpTransport{url: display(u), auth: a}
	if u.User != nil && a.Username == "" && a.BearerToken == "" {
		t.auth.Username = u.User.Username()
		t.auth.Password, _ = u.User.Password()
	}
	base := *u
	base.User, base.RawQuery, base.Fragment = nil, "", ""
	base.Path, base.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.RawPath, "/")
	t.base = &base
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	tr.ResponseHeaderTimeout = time.Minute
	if len(a.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(a.CA) {
			return nil, &AuthError{URL: t.url, Err: errors.New("the CA bundle holds no certificate in PEM")}
		}
		tr.TLSClientConfig.RootCAs = pool
	}
	if len(a.ClientCert) > 0 || len(a.ClientKey) > 0 {
		pair, err := tls.X509KeyPair(a.ClientCert, a.ClientKey)
		if err != nil {
			return nil, &AuthError{URL: t.url, Err: fmt.Errorf("reading the client certificate: %w", err)}
		}
		tr.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	t.client = &http.Client{Transport: tr, CheckRedirect: t.checkRedirect}
	return t, nil
}

// checkRedirect lets a server rename a repository or move from http to https, on its own host. The refused request is
// never sent, so no credential reaches another host.
func (t *httpTransport) checkRedirect(to *http.Request, via []*http.Request) error {
	from := via[0].URL
	same := to.URL.Host == from.Host && to.URL.Scheme == from.Scheme
	upgrade := from.Scheme == "http" && to.URL.Scheme == "https" && from.Port() == "" && to.URL.Host == from.Host
	switch {
	case !same && !upgrade:
		return &UnsupportedError{Doing: "asking " + t.url, What: "a redirect to " + display(to.URL),
			Remedy: "if that is where the repository is now, use that URL"}
	case via[0].Method != http.MethodGet:
		return &UnsupportedError{Doing: "fetching from " + t.url, What: "a redirect in the middle of a fetch"}
	case len(via) > 5:
		return fmt.Errorf("asking %s: redirected more than 5 times", t.url)
	}
	return nil
}

func (t *httpTransport) Advertise(ctx context.Context) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base.String()+infoRefs+"?service=git-upload-pack", nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: the URL cannot be used", t.url)
	}
	res, err := t.do(req, "application/x-git-upload-pack-advertisement")
	if err != nil {
		return nil, err
	}
	if path, ok := strings.CutSuffix(res.Request.URL.Path, infoRefs); ok && path != t.base.Path {
		moved := *res.Request.URL
		moved.Path, moved.RawPath, moved.RawQuery = path, "", ""
		t.base = &moved
	} else if ok {
		t.base.Scheme = res.Request.URL.Scheme
	}
	return res.Body, nil
}

func (t *httpTransport) Call(ctx context.Context, body []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base.String()+uploadPack, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: the URL cannot be used", t.url)
	}
	req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	req.Header.Set("Accept", "application/x-git-upload-pack-result")
	res, err := t.do(req, "application/x-git-upload-pack-result")
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

func (t *httpTransport) do(req *http.Request, contentType string) (*http.Response, error) {
	req.Header.Set("User-Agent", "git/2.0 ("+agent+")") // some servers answer HTML to what does not begin with "git/"
	req.Header.Set("Git-Protocol", "version=2")
	switch {
	case t.auth.BearerToken != "":
		req.Header.Set("Authorization", "Bearer "+t.auth.BearerToken)
	case t.auth.Username != "" || t.auth.Password != "":
		req.SetBasicAuth(t.auth.Username, t.auth.Password)
	}
	res, err := t.client.Do(req)
	if err != nil {
		return nil, t.sendError(err)
	}
	if err := t.statusError(res, contentType); err != nil {
		return nil, errors.Join(err, res.Body.Close())
	}
	return res, nil
}

// sendError takes the URL out of an error, which is named anyway and here without credentials.
func (t *httpTransport) sendError(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var unsupported *UnsupportedError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unsupported):
		return unsupported
	case errors.As(err, &cert):
		return &AuthError{URL: t.url, Err: fmt.Errorf("its certificate is not trusted: %w", err)}
	}
	return fmt.Errorf("asking %s: %w", t.url, err)
}

func (t *httpTransport) statusError(res *http.Response, contentType string) error {
	switch {
	case res.StatusCode == http.StatusUnauthorized && t.anonymous():
		return &AuthError{URL: t.url, Err: errors.New("the server wants credentials (401)")}
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return &AuthError{URL: t.url, Err: fmt.Errorf("the server refuses these credentials (%d)", res.StatusCode)}
	case res.StatusCode == http.StatusNotFound:
		return &NotFoundError{Where: t.url, Hint: "many servers also say so of repositories these credentials may not see"}
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("asking %s: the server answers %s", t.url, res.Status)
	case res.Header.Get("Content-Type") != contentType:
		return fmt.Errorf("asking %s: the server answers with %.60q, which is not Git's smart protocol: is this a repository's URL?",
			t.url, res.Header.Get("Content-Type"))
	}
	return nil
}

func (t *httpTransport) anonymous() bool {
	return t.auth.Username == "" && t.auth.Password == "" && t.auth.BearerToken == ""
}

func (t *httpTransport) Stateless() bool { return true }
func (t *httpTransport) end()            {}
func (t *httpTransport) close()          { t.client.CloseIdleConnections() }
