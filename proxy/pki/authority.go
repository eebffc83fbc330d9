package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	defaultRootLife = 365 * 24 * time.Hour
	defaultAnnounce = 24 * time.Hour
	defaultLeafLife = 24 * time.Hour

	// skew is how far clocks may be apart: certificates begin that much earlier, and roots stay that much longer.
	skew = 5 * time.Minute
)

// Policy is how long things live. The zero value is what an installation should have. All replicas must have the same.
type Policy struct {
	// RootLife of a new root. Its successor is made when two thirds are over. 0: 365 days.
	RootLife time.Duration
	// Announce is how long a new root is an anchor before it signs: the time the anchors may take to reach every proxy.
	// 0: 24 h.
	Announce time.Duration
	// LeafLife of the certificates of proxies and controllers. 0: 24 h.
	LeafLife time.Duration
}

func (p Policy) withDefaults() (Policy, error) {
	if p.RootLife == 0 {
		p.RootLife = defaultRootLife
	}
	if p.Announce == 0 {
		p.Announce = defaultAnnounce
	}
	if p.LeafLife == 0 {
		p.LeafLife = defaultLeafLife
	}
	if p.Announce < 0 || p.LeafLife <= 0 || p.RootLife <= 0 || p.Announce+p.LeafLife+2*skew > p.RootLife/3 {
		return p, fmt.Errorf("a root that lives for %v has no time to follow another: announced for %v, with certificates of %v", p.RootLife, p.Announce, p.LeafLife)
	}
	return p, nil
}

// Authority is the certificate authority of an installation. It does not change; Step makes the next one.
type Authority struct {
	policy Policy
	roots  []root // by age, the oldest first; at least one
}

type root struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// born is when a root was made.
func (r root) born() time.Time { return r.cert.NotBefore.Add(skew) }

func (r root) expired(now time.Time) bool { return !now.Before(r.cert.NotAfter) }

// NewAuthority makes an Authority with one root, which signs at once: nobody can have older anchors.
func NewAuthority(p Policy, now time.Time) (*Authority, error) {
	p, err := p.withDefaults()
	if err != nil {
		return nil, err
	}
	r, err := newRoot(p, now)
	if err != nil {
		return nil, err
	}
	return &Authority{policy: p, roots: []root{r}}, nil
}

func newRoot(p Policy, now time.Time) (root, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return root{}, fmt.Errorf("making the key of a root: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return root{}, fmt.Errorf("encoding the key of a root: %w", err)
	}
	id := sha256.Sum256(public)
	template := &x509.Certificate{
		// Every root has a name of its own, so that whoever verifies never tries the wrong one.
		Subject:               pkix.Name{CommonName: "headgate root " + hex.EncodeToString(id[:8])},
		SubjectKeyId:          id[:20],
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(p.RootLife),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return root{}, fmt.Errorf("signing a root: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return root{}, fmt.Errorf("reading the root just signed: %w", err)
	}
	return root{cert: cert, key: key}, nil
}

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// ParseAuthority reads what PEM wrote: for each root its certificate and then its key.
func ParseAuthority(p Policy, text []byte) (*Authority, error) {
	p, err := p.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &Authority{policy: p}
	for len(bytes.TrimSpace(text)) > 0 {
		var cert, key *pem.Block
		if cert, text = pem.Decode(text); cert == nil {
			return nil, errors.New("reading the certificate authority: text that is not PEM")
		}
		if key, text = pem.Decode(text); key == nil || cert.Type != pemCertificate || key.Type != pemKey {
			return nil, errors.New("reading the certificate authority: a root is a certificate and then its private key")
		}
		r, err := parseRoot(cert.Bytes, key.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading root %d of the certificate authority: %w", len(a.roots)+1, err)
		}
		a.roots = append(a.roots, r)
	}
	if len(a.roots) == 0 {
		return nil, errors.New("reading the certificate authority: it has no root")
	}
	slices.SortStableFunc(a.roots, func(a, b root) int { return a.born().Compare(b.born()) })
	return a, nil
}

func parseRoot(certificate, key []byte) (root, error) {
	cert, err := x509.ParseCertificate(certificate)
	if err != nil {
		return root{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return root{}, err
	}
	k, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !k.PublicKey.Equal(cert.PublicKey) {
		return root{}, errors.New("the key is not that of the certificate")
	}
	if !cert.IsCA {
		return root{}, errors.New("the certificate is not one of an authority")
	}
	return root{cert: cert, key: k}, nil
}

// PEM is all there is, keys included: for a Secret that only the controller may read.
func (a *Authority) PEM() ([]byte, error) {
	var out bytes.Buffer
	for _, r := range a.roots {
		key, err := x509.MarshalPKCS8PrivateKey(r.key)
		if err != nil {
			return nil, fmt.Errorf("encoding the key of a root: %w", err)
		}
		out.Write(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: r.cert.Raw}))
		out.Write(pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: key}))
	}
	return out.Bytes(), nil
}

// Anchors are the certificates of all roots as PEM, without keys: for everybody who is to trust this Authority.
func (a *Authority) Anchors() []byte {
	var out bytes.Buffer
	for _, r := range a.roots {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: r.cert.Raw}))
	}
	return out.Bytes()
}

// pool is what is trusted.
func (a *Authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, r := range a.roots {
		pool.AddCert(r.cert)
	}
	return pool
}

// signs is when a root signs, or signed, first: the first of all at once, a follower when it has been announced.
func (a *Authority) signs(i int) time.Time {
	if i == 0 {
		return a.roots[0].born()
	}
	return a.roots[i].born().Add(a.policy.Announce)
}

// signer is the root that signs: the youngest that was announced long enough, else the oldest that has not expired.
func (a *Authority) signer(now time.Time) (root, error) {
	for i := len(a.roots) - 1; i >= 0; i-- {
		if r := a.roots[i]; !r.expired(now) && !now.Before(a.signs(i)) {
			return r, nil
		}
	}
	for _, r := range a.roots {
		if !r.expired(now) {
			return r, nil
		}
	}
	return root{}, errors.New("every root of the certificate authority has expired")
}

// Step gives the Authority that should be used from now on: with a successor of a root that grows old, without roots that
// are not needed any more. It is a itself when there is nothing to do. Whoever stores the Authority calls Step from time
// to time, stores what it gives, and only then uses it.
func (a *Authority) Step(now time.Time) (*Authority, error) {
	roots := slices.Clone(a.roots)
	for len(roots) > 1 && a.spent(roots[0], len(a.roots)-len(roots)+1, now) {
		roots = roots[1:]
	}
	last := roots[len(roots)-1]
	if !now.Before(a.successorDue(last)) {
		next, err := newRoot(a.policy, now)
		if err != nil {
			return nil, err
		}
		if last.expired(now) {
			roots = nil
		}
		roots = append(roots, next)
	}
	if len(roots) == len(a.roots) && roots[len(roots)-1].cert == a.roots[len(a.roots)-1].cert {
		return a, nil
	}
	return &Authority{policy: a.policy, roots: roots}, nil
}

// spent tells whether a root has nothing left to vouch for: its successor has signed for longer than a certificate lives.
func (a *Authority) spent(r root, successor int, now time.Time) bool {
	return r.expired(now) || !now.Before(a.signs(successor).Add(a.policy.LeafLife+2*skew))
}

func (a *Authority) successorDue(r root) time.Time {
	return r.cert.NotAfter.Add(-a.policy.RootLife / 3)
}

// Due is when Step next has something to do, or earlier.
func (a *Authority) Due() time.Time {
	due := a.successorDue(a.roots[len(a.roots)-1])
	if len(a.roots) > 1 {
		for _, t := range []time.Time{a.roots[0].cert.NotAfter, a.signs(1).Add(a.policy.LeafLife + 2*skew)} {
			if t.Before(due) {
				due = t
			}
		}
	}
	return due
}
