package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Door is a controller's side of every TLS connection: what it shows, whom it trusts, and who came in. The Authority may
// change at any time: new connections follow it, and those there are stay. All methods are safe for concurrent use.
type Door struct {
	self Controller       // constant
	now  func() time.Time // constant

	mu        sync.Mutex // guards what follows
	authority *Authority
	trusted   *x509.CertPool
	shown     *tls.Certificate
	renew     time.Time // when shown is to be replaced
}

// NewDoor makes the Door of one controller. A nil clock is the system's.
func NewDoor(a *Authority, self Controller, clock func() time.Time) (*Door, error) {
	if clock == nil {
		clock = time.Now
	}
	d := &Door{self: self, now: clock}
	if err := d.Use(a); err != nil {
		return nil, err
	}
	return d, nil
}

// Use has new connections follow another Authority. With an error the Door stays as it is.
func (d *Door) Use(a *Authority) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	shown, err := a.IssueController(d.self, now)
	if err != nil {
		return fmt.Errorf("making the certificate of %s: %w", d.self, err)
	}
	d.authority, d.trusted = a, a.pool()
	d.show(shown, now)
	return nil
}

// show has new connections see a certificate, for half of its life. The lock is held.
func (d *Door) show(c *tls.Certificate, now time.Time) {
	d.shown, d.renew = c, now.Add(c.Leaf.NotAfter.Sub(now)/2)
	// The root that signs may change before.
	for i := range d.authority.roots {
		if t := d.authority.signs(i); t.After(now) && t.Before(d.renew) {
			d.renew = t
		}
	}
}

// current is what to show and whom to trust.
func (d *Door) current() (*Authority, *tls.Certificate, *x509.CertPool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.now(); !now.Before(d.renew) {
		c, err := d.authority.IssueController(d.self, now)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("renewing the certificate of %s: %w", d.self, err)
		}
		d.show(c, now)
	}
	return d.authority, d.shown, d.trusted, nil
}

// Mutual is the server's side for ports that only proxies and controllers may use (gRPC). Whoever has no certificate of
// the Authority, or an expired one, does not get past the handshake.
func (d *Door) Mutual() *tls.Config {
	return d.serve(tls.RequireAndVerifyClientCert, "h2")
}

// Open is the server's side for the exchange, where callers have no certificate yet.
func (d *Door) Open() *tls.Config {
	return d.serve(tls.NoClientCert, "http/1.1")
}

func (d *Door) serve(auth tls.ClientAuthType, protocol string) *tls.Config {
	base := tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{protocol},
		ClientAuth: auth,
		Time:       d.now,
		// A resumed session would bring an old verification along.
		SessionTicketsDisabled: true,
	}
	config := base.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		_, shown, trusted, err := d.current()
		if err != nil {
			return nil, err
		}
		c := base.Clone()
		c.Certificates, c.ClientCAs = []tls.Certificate{*shown}, trusted
		return c, nil
	}
	return config
}

// Call is the client's side, with which a controller calls another one. It is good for one connection: the next may need
// another certificate.
func (d *Door) Call() (*tls.Config, error) {
	_, shown, trusted, err := d.current()
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2"},
		Certificates: []tls.Certificate{*shown},
		RootCAs:      trusted,
		ServerName:   ServerName,
		Time:         d.now,
	}, nil
}

// Proxy tells which proxy has a connection. It relies on nothing that the handshake made sure of but that the caller has
// the key of its certificate: that is verified again, now, against the present Authority. A connection that was good may
// thus be refused later.
func (d *Door) Proxy(state *tls.ConnectionState) (Proxy, error) {
	cert, err := d.verify(state)
	if err != nil {
		return Proxy{}, err
	}
	return proxyOf(cert)
}

// Controller tells which controller has a connection, as Proxy does for proxies.
func (d *Door) Controller(state *tls.ConnectionState) (Controller, error) {
	cert, err := d.verify(state)
	if err != nil {
		return Controller{}, err
	}
	return controllerOf(cert)
}

func (d *Door) verify(state *tls.ConnectionState) (*x509.Certificate, error) {
	if state == nil || !state.HandshakeComplete || len(state.PeerCertificates) == 0 {
		return nil, errors.New("the caller shows no certificate")
	}
	_, _, trusted, err := d.current()
	if err != nil {
		return nil, err
	}
	cert := state.PeerCertificates[0]
	// Roots sign proxies themselves: there is no intermediate, and none that the caller sends is looked at.
	if _, err := cert.Verify(x509.VerifyOptions{
		Roots: trusted, CurrentTime: d.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return nil, fmt.Errorf("verifying the certificate of the caller: %w", err)
	}
	return cert, nil
}

// issueProxy signs for a proxy with the present Authority.
func (d *Door) issueProxy(p Proxy, key any) (*x509.Certificate, error) {
	authority, _, _, err := d.current()
	if err != nil {
		return nil, err
	}
	return authority.IssueProxy(p, key, d.now())
}
