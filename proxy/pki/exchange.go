package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// Audience is what the projected token of a proxy must be made for: a token for the API server opens nothing here, and
// this one opens nothing there.
const Audience = "headgate"

// ExchangePath is where a proxy POSTs its certificate request (PEM), with its token in the Authorization header (Bearer).
// It gets the certificate as PEM, and the zone it is in, if that is known, in the header ZoneHeader. 401 and 403 say that it will not get one (the body says why), 503 that it should ask
// again.
const ExchangePath = "/v1/proxy-certificate"

// ZoneHeader of an answer has the zone of the pod.
const ZoneHeader = "Headgate-Zone"

const (
	maxRequest     = 16 << 10 // bytes of a certificate request; ours have 400
	maxHeader      = 32 << 10 // bytes of all headers; a token has 1,000 to 2,000
	maxConnections = 256      // at a time; more wait to be accepted
	maxReviews     = 16       // at a time: what we do to the API server, whoever calls

	defaultPatience = 5 * time.Second
	reviewPatience  = 10 * time.Second
)

// Caller is what a token says for certain of a pod.
type Caller struct {
	// Audiences that the token is good for.
	Audiences []string
	// Namespace of pod and service account.
	Namespace, ServiceAccount string
	// Pod the token is bound to, and its UID. Without a pod there is no certificate.
	Pod, PodUID string
}

// Reviewer asks whoever made a token (the API server's TokenReview) about it. A token that is not good for the audience,
// has expired, or whose pod is gone is a *Refusal; any other error means that it cannot be known now.
type Reviewer interface {
	Review(ctx context.Context, token, audience string) (Caller, error)
}

// Gateways knows which Gateway of its namespace a pod serves, from the cluster's own objects. A pod that serves none is a
// *Refusal; any other error means that it cannot be known now.
type Gateways interface {
	PlaceOf(context.Context, Caller) (Place, error)
}

// Place is where a proxy belongs.
type Place struct {
	// Gateway that it serves.
	Gateway string
	// Zone that it runs in; empty: it is not known.
	Zone string
}

// Refusal says why a caller gets no certificate. Its text is told to the caller.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

// ExchangeOptions of NewExchange. Reviewer and Gateways are required; the functions may be nil.
type ExchangeOptions struct {
	Reviewer Reviewer
	Gateways Gateways
	// Patience with a caller: how long a handshake, and then a request, may take to come. 0: 5 s.
	Patience time.Duration
	// Issued is told of each certificate.
	Issued func(Proxy, *x509.Certificate)
	// Refused is told who got none, and why: a *Refusal, or what went wrong on our side.
	Refused func(from net.Addr, err error)
}

// Exchange gives proxies their certificates.
type Exchange struct {
	door    *Door
	options ExchangeOptions
	reviews chan struct{} // has an element for each review at work
	server  *http.Server
}

// NewExchange makes an Exchange; Serve makes it answer.
func NewExchange(d *Door, o ExchangeOptions) *Exchange {
	if o.Issued == nil {
		o.Issued = func(Proxy, *x509.Certificate) {}
	}
	if o.Refused == nil {
		o.Refused = func(net.Addr, error) {}
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	e := &Exchange{door: d, options: o, reviews: make(chan struct{}, maxReviews)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+ExchangePath, e.answer)
	e.server = &http.Server{
		Handler:           mux,
		TLSConfig:         d.Open(),
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 alone
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: o.Patience,
		ReadTimeout:       o.Patience,
		WriteTimeout:      o.Patience + reviewPatience,
		IdleTimeout:       o.Patience,
		ErrorLog:          silent(), // a port scan is not our news; what matters goes to Refused
	}
	return e
}

// Serve answers on l, which it closes in the end. It returns nil after Stop, else why it cannot go on.
func (e *Exchange) Serve(l net.Listener) error {
	err := e.server.ServeTLS(netutil.LimitListener(l, maxConnections), "", "")
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving certificates on %s: %w", l.Addr(), err)
	}
	return nil
}

// Stop answers what was asked, until the context ends, and closes the listener.
func (e *Exchange) Stop(ctx context.Context) error {
	if err := e.server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("ending the exchange of certificates: %w", err), e.server.Close())
	}
	return nil
}

func (e *Exchange) answer(w http.ResponseWriter, r *http.Request) {
	proxy, zone, cert, err := e.exchange(w, r)
	if err != nil {
		e.options.Refused(peerOf(r), err)
		var refusal *Refusal
		var bad *badRequest
		switch {
		case errors.As(err, &refusal):
			http.Error(w, refusal.Reason, http.StatusForbidden)
		case errors.As(err, &bad):
			http.Error(w, bad.Error(), bad.code)
		default:
			// What goes wrong inside is not for everybody to read.
			http.Error(w, "the controller cannot verify the token now; ask again", http.StatusServiceUnavailable)
		}
		return
	}
	e.options.Issued(proxy, cert)
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Cache-Control", "no-store")
	if zone != "" {
		w.Header().Set(ZoneHeader, zone)
	}
	// Should the caller be gone, it asks again.
	_, _ = w.Write(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: cert.Raw}))
}

// badRequest is a request that no proxy of ours makes.
type badRequest struct {
	code int
	text string
}

func (b *badRequest) Error() string { return b.text }

// exchange decides. What the request says of its owner is not read: neither a name in it nor one around it.
func (e *Exchange) exchange(w http.ResponseWriter, r *http.Request) (proxy Proxy, zone string, cert *x509.Certificate, err error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return proxy, "", nil, &badRequest{http.StatusUnauthorized, "no token: send it as \"Authorization: Bearer TOKEN\""}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return proxy, "", nil, &badRequest{http.StatusRequestEntityTooLarge, "a certificate request is smaller than that"}
	} else if err != nil {
		return proxy, "", nil, &badRequest{http.StatusRequestTimeout, "the request did not come in time"}
	}
	key, err := requestedKey(body)
	if err != nil {
		return proxy, "", nil, &badRequest{http.StatusBadRequest, err.Error()}
	}
	proxy, zone, err = e.identify(r.Context(), token)
	if err != nil {
		return proxy, "", nil, err
	}
	cert, err = e.door.issueProxy(proxy, key)
	return proxy, zone, cert, err
}

// identify says whose token it is, and in which zone that proxy is.
func (e *Exchange) identify(ctx context.Context, token string) (p Proxy, zone string, err error) {
	ctx, cancel := context.WithTimeout(ctx, reviewPatience)
	defer cancel()
	select {
	case e.reviews <- struct{}{}:
		defer func() { <-e.reviews }()
	case <-ctx.Done():
		return p, "", fmt.Errorf("waiting to review a token: %w", ctx.Err())
	}
	caller, err := e.options.Reviewer.Review(ctx, token, Audience)
	if err != nil {
		return p, "", fmt.Errorf("reviewing a token: %w", err)
	}
	if !slices.Contains(caller.Audiences, Audience) {
		return p, "", &Refusal{fmt.Sprintf("the token is not for audience %q", Audience)}
	}
	if caller.Namespace == "" || caller.ServiceAccount == "" || caller.Pod == "" || caller.PodUID == "" {
		return p, "", &Refusal{"the token is not bound to a pod: it must be a projected service account token"}
	}
	place, err := e.options.Gateways.PlaceOf(ctx, caller)
	if err != nil {
		return p, "", fmt.Errorf("finding the Gateway of pod %s/%s: %w", caller.Namespace, caller.Pod, err)
	}
	return Proxy{Namespace: caller.Namespace, Gateway: place.Gateway, Pod: caller.Pod}, place.Zone, nil
}

// requestedKey is the public key of a certificate request whose sender has the private one.
func requestedKey(text []byte) (any, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemRequest || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("the body is not one certificate request in PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, errors.New("the certificate request cannot be read")
	}
	if err := checkKey(csr.PublicKey); err != nil {
		return nil, err
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, errors.New("the certificate request is not signed with its own key")
	}
	return csr.PublicKey, nil
}

func peerOf(r *http.Request) net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", r.RemoteAddr) // an address, not a name: nothing is asked
	if err != nil {
		return &net.TCPAddr{}
	}
	return addr
}
