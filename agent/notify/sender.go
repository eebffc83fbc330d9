package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Address is where a receiver is, and what it asks for.
type Address struct {
	// URL is http or https. It may be a secret.
	URL string
	// Token is a bearer token, Username and Password are for basic authentication; either may be empty.
	Token, Username, Password string
	// HMAC is the key that a Webhook's body is signed with; empty: it is not.
	HMAC []byte
	// CA are the authorities of the receiver, in PEM; empty: those of the system.
	CA []byte
}

// Sender sends to one type of receiver.
type Sender interface {
	// Send sends the notices of a batch. It returns within Timeout, or when ctx ends. An error is nil or a *SendError, and does not say the address.
	Send(ctx context.Context, to Address, batch Batch) error
}

// Timeout is how long one receiver may take.
const Timeout = 10 * time.Second

// SendError says why a notice did not arrive.
type SendError struct {
	// Message is without secrets.
	Message string
	// Permanent: it is never going to be taken. After: not before that time; zero: nothing was said about it.
	Permanent bool
	After     time.Duration
}

func (e *SendError) Error() string { return e.Message }

// HTTP sends to receivers that are spoken to by HTTP. The zero HTTP is ready for use.
type HTTP struct {
	// Local lets receivers be at loopback and link-local addresses, which are this machine and its cloud's: a Sync's author is not to reach them.
	Local bool
	// Now is the clock for Retry-After; nil: time.Now.
	Now func() time.Time
}

// Senders gives those that speak HTTP, by type.
func (h *HTTP) Senders() map[string]Sender {
	return map[string]Sender{TypeAlertmanager: alertmanager{h}, TypeSlack: slack{h}, TypeWebhook: webhook{h}}
}

// post sends a body.
func (h *HTTP) post(ctx context.Context, to Address, body []byte, header http.Header) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return &SendError{Message: "the address is no URL"}
	}
	req.Header = header
	req.Header.Set("User-Agent", "headgate")
	switch {
	case to.Token != "":
		req.Header.Set("Authorization", "Bearer "+to.Token)
	case to.Username != "":
		req.SetBasicAuth(to.Username, to.Password)
	}
	client, err := h.client(to)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return &SendError{Message: "sending to " + req.URL.Hostname() + ": " + withoutURL(err)}
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	return h.answered(req.URL.Hostname(), res)
}

// withoutURL gives the text of an error without the address that it was for.
func withoutURL(err error) string {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + Timeout.String()
	}
	return err.Error()
}

// answered reads what an answer says.
func (h *HTTP) answered(host string, res *http.Response) error {
	if res.StatusCode < 300 {
		return nil
	}
	e := &SendError{Message: fmt.Sprintf("%s answers %d %s", host, res.StatusCode, http.StatusText(res.StatusCode))}
	switch res.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		e.Permanent = true // the same again is refused again; what else is wrong may be mended
	}
	if after := res.Header.Get("Retry-After"); after != "" {
		if seconds, err := strconv.Atoi(after); err == nil && seconds >= 0 {
			e.After = min(time.Duration(seconds), longestAfter/time.Second) * time.Second
		} else if at, err := http.ParseTime(after); err == nil {
			e.After = max(0, min(at.Sub(h.now()), longestAfter))
		}
	}
	return e
}

func (h *HTTP) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

func (h *HTTP) client(to Address) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(to.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(to.CA) {
			return nil, &SendError{Message: "ca.crt holds no certificate in PEM"}
		}
	}
	dialer := &net.Dialer{Timeout: Timeout, Control: h.permitted}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: config, ForceAttemptHTTP2: true,
			MaxResponseHeaderBytes: 64 << 10, TLSHandshakeTimeout: Timeout,
		},
		// Credentials do not follow a redirect, and neither does anything else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// permitted refuses addresses that are not for the author of a Sync; it sees what a name has become.
func (h *HTTP) permitted(_, address string, _ syscall.RawConn) error {
	if h.Local {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("the address %s is not understood", address)
	}
	ip := at.Addr().Unmap()
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsUnspecified() || ip.IsMulticast() {
		return errors.New("addresses of this machine and its link are not for receivers")
	}
	return nil
}
