package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// ServerName is the name by which a proxy knows a controller: it stands in every controller's certificate and in no
// other. It is no name to look up, and the same in every installation.
const ServerName = "controller.headgate.dev"

const (
	scheme     = "headgate"
	proxies    = "proxy"
	controller = "controller"
)

// Proxy is who a proxy is: one pod of the fleet of one Gateway. Pod and Gateway are in Namespace.
type Proxy struct {
	Namespace, Gateway, Pod string
}

// String is the URI that a certificate has for it.
func (p Proxy) String() string {
	return scheme + "://" + proxies + "/namespace/" + p.Namespace + "/gateway/" + p.Gateway + "/pod/" + p.Pod
}

// Controller is who a replica of the controller is.
type Controller struct {
	Namespace, Pod string
}

// String is the URI that a certificate has for it.
func (c Controller) String() string {
	return scheme + "://" + controller + "/namespace/" + c.Namespace + "/pod/" + c.Pod
}

// The names of Kubernetes' objects (RFC 1123), none of which needs escaping in a URI.
var (
	label     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

const longestName = 253

func isName(s string) bool { return len(s) <= longestName && subdomain.MatchString(s) }

func (p Proxy) check() error {
	if !label.MatchString(p.Namespace) || !isName(p.Gateway) || !isName(p.Pod) {
		return fmt.Errorf("namespace %.80q, Gateway %.80q, pod %.80q: not names of Kubernetes", p.Namespace, p.Gateway, p.Pod)
	}
	return nil
}

func (c Controller) check() error {
	if !label.MatchString(c.Namespace) || !isName(c.Pod) {
		return fmt.Errorf("namespace %.80q, pod %.80q: not names of Kubernetes", c.Namespace, c.Pod)
	}
	return nil
}

// proxyOf reads the identity in a certificate that was verified.
func proxyOf(cert *x509.Certificate) (Proxy, error) {
	uri, err := onlyURI(cert)
	if err != nil {
		return Proxy{}, err
	}
	f := strings.Split(strings.TrimPrefix(uri, scheme+"://"), "/")
	const fields = 7
	if len(f) != fields {
		return Proxy{}, fmt.Errorf("the certificate names %.300q, which is no proxy", uri)
	}
	p := Proxy{Namespace: f[2], Gateway: f[4], Pod: f[6]}
	// Whatever else the URI says, it is not what we write.
	if p.check() != nil || p.String() != uri || len(cert.DNSNames) > 0 {
		return Proxy{}, fmt.Errorf("the certificate names %.300q, which is no proxy", uri)
	}
	return p, nil
}

// controllerOf is proxyOf for controllers.
func controllerOf(cert *x509.Certificate) (Controller, error) {
	uri, err := onlyURI(cert)
	if err != nil {
		return Controller{}, err
	}
	f := strings.Split(strings.TrimPrefix(uri, scheme+"://"), "/")
	const fields = 5
	if len(f) != fields {
		return Controller{}, fmt.Errorf("the certificate names %.300q, which is no controller", uri)
	}
	c := Controller{Namespace: f[2], Pod: f[4]}
	if c.check() != nil || c.String() != uri {
		return Controller{}, fmt.Errorf("the certificate names %.300q, which is no controller", uri)
	}
	return c, nil
}

func onlyURI(cert *x509.Certificate) (string, error) {
	if len(cert.URIs) != 1 || len(cert.IPAddresses)+len(cert.EmailAddresses) > 0 {
		return "", errors.New("the certificate does not have one URI and no other name")
	}
	return cert.URIs[0].String(), nil
}

// mustURI parses a URI made of names that were checked.
func mustURI(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}
