package local

import (
	"crypto/tls"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/cmd/internal/localca"
	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
)

// certificate is the Secret of a certificate of a listener, or of a Gateway, that is not in the tree, signed by the local CA.
type certificate struct {
	names []string // sorted
	leaf  localca.Leaf
}

// maxNames bounds the names in one certificate: clients refuse handshakes that are too long.
const maxNames = 500

func (c *certificate) secret(name types.NamespacedName) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: c.leaf.Certificate, corev1.TLSPrivateKeyKey: c.leaf.Key},
	}
}

// needsCA tells whether there is something among the changes that the local CA may have to sign for.
func needsCA(changes []kube.Change) bool {
	endsTLS := func(listeners []gwv1.Listener) bool {
		return slices.ContainsFunc(listeners, func(l gwv1.Listener) bool { return len(secretsOf(&l, "")) > 0 })
	}
	return slices.ContainsFunc(changes, func(c kube.Change) bool {
		switch o := c.Object.(type) {
		case *gwv1.Gateway:
			_, shows := clientSecretOf(o)
			return shows || endsTLS(o.Spec.Listeners)
		case *gwv1.ListenerSet:
			return slices.ContainsFunc(o.Spec.Listeners, func(e gwv1.ListenerEntry) bool { return endsTLS([]gwv1.Listener{gwv1.Listener(e)}) })
		case *gwv1.TLSRoute, *gwv1.BackendTLSPolicy:
			return true
		}
		return false
	})
}

// secretsOf lists the Secrets with the certificates of a listener that an object in the namespace has.
func secretsOf(l *gwv1.Listener, namespace string) (out []kube.Ref) {
	kind, known := kube.KindOf("", "Secret")
	if !known || l.TLS == nil || !terminates(l) || l.Protocol != gwv1.HTTPSProtocolType && l.Protocol != gwv1.TLSProtocolType {
		return nil
	}
	for i := range l.TLS.CertificateRefs {
		if ref, ok := secretOf(&l.TLS.CertificateRefs[i], namespace, kind); ok {
			out = append(out, ref)
		}
	}
	return out
}

func secretOf(r *gwv1.SecretObjectReference, namespace string, kind kube.Kind) (kube.Ref, bool) {
	if r.Group != nil && *r.Group != "" || r.Kind != nil && *r.Kind != "Secret" {
		return kube.Ref{}, false
	}
	name := types.NamespacedName{Namespace: namespace, Name: string(r.Name)}
	if r.Namespace != nil {
		name.Namespace = string(*r.Namespace)
	}
	return kube.Ref{Kind: kind, Name: name}, true
}

// clientSecretOf gives the Secret with the certificate that a Gateway shows to backends.
func clientSecretOf(g *gwv1.Gateway) (kube.Ref, bool) {
	kind, known := kube.KindOf("", "Secret")
	if !known || g.Spec.TLS == nil || g.Spec.TLS.Backend == nil || g.Spec.TLS.Backend.ClientCertificateRef == nil {
		return kube.Ref{}, false
	}
	return secretOf(g.Spec.TLS.Backend.ClientCertificateRef, g.Namespace, kind)
}

// changeCertificates finds out which certificates have to be made up, and makes those that are new, have other names, or
// are due to be renewed.
func (w *world) changeCertificates(dirty *incr.Set[kube.Ref], now time.Time) {
	if w.ca == nil {
		return
	}
	names := w.certificateNames()
	for ref := range w.certificates {
		dirty.Add(ref)
		if names[ref] == nil {
			delete(w.certificates, ref)
		}
	}
	for ref, set := range names {
		list := slices.Sorted(maps.Keys(set))
		list = list[:min(len(list), maxNames)]
		if c := w.certificates[ref]; c != nil && slices.Equal(c.names, list) && now.Add(localca.Renew).Before(c.leaf.NotAfter) {
			continue
		}
		leaf, err := w.ca.Issue(list, now)
		if err != nil {
			continue // for a name that is none; the listener will say that it has no certificate
		}
		w.certificates[ref] = &certificate{names: list, leaf: leaf}
		dirty.Add(ref)
	}
}

// certificateNames lists the host names of each Secret that the tree does not have.
func (w *world) certificateNames() map[kube.Ref]map[string]bool {
	names := map[kube.Ref]map[string]bool{}
	for _, l := range w.listeners() {
		for _, ref := range secretsOf(l.Listener, l.owner.GetNamespace()) {
			if w.tree[ref] != nil {
				continue
			}
			if names[ref] == nil {
				names[ref] = map[string]bool{}
			}
			w.addNames(names[ref], l.Listener)
		}
	}
	for _, o := range w.tree {
		g, ok := o.(*gwv1.Gateway)
		if !ok || !w.ours(g) {
			continue
		}
		if ref, shows := clientSecretOf(g); shows && w.tree[ref] == nil {
			if names[ref] == nil {
				names[ref] = map[string]bool{}
			}
			names[ref][g.Name+"."+g.Namespace] = true // who it is
		}
	}
	return names
}

// addNames adds the names that clients may call a listener by. A wildcard in a certificate stands for one label, and
// directly below a top-level domain such as "localhost" for none: the names of routes stand beside it.
func (w *world) addNames(names map[string]bool, l *gwv1.Listener) {
	suffix := ""
	if l.Hostname != nil && *l.Hostname != "" {
		host := string(*l.Hostname)
		names[host] = true
		if !strings.HasPrefix(host, "*") {
			return
		}
		suffix = host[1:]
	} else {
		names["localhost"] = true
	}
	for _, route := range w.routes {
		for _, h := range hostnamesOf(route) {
			if strings.HasSuffix(string(h), suffix) {
				names[string(h)] = true
			}
		}
	}
	for _, a := range w.aliases {
		if strings.HasSuffix(a.host, suffix) {
			names[a.host] = true
		}
	}
}

// CAError says that the local CA cannot be had.
type CAError struct{ Err error }

// Error gives the cause, which says what to do.
func (e *CAError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *CAError) Unwrap() error { return e.Err }

// openCA opens the CA of this user, or makes one that lasts as long as the process where nothing is served.
func (s *Stack) openCA(now time.Time) error {
	if s.options.Detached {
		ca, err := localca.New(now)
		s.world.ca = ca
		return err
	}
	dir := s.options.CA
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return &CAError{err}
		}
		dir = filepath.Join(cache, "headgate", "ca")
	}
	ca, err := localca.Open(dir, now)
	if err != nil {
		return &CAError{err}
	}
	s.world.ca = ca
	s.ca.Store(ca)
	return nil
}

// CA is the path of the local CA's certificate; empty while nothing is signed by it.
func (s *Stack) CA() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world.ca == nil || len(s.world.certificates) == 0 {
		return ""
	}
	return s.world.ca.Path()
}

// certificateFor is what the echo backend shows to a client that speaks TLS.
func (s *Stack) certificateFor(serverName string) (*tls.Certificate, error) {
	ca := s.ca.Load()
	if ca == nil {
		return nil, errors.New("no route leads here with TLS")
	}
	return ca.For(serverName, time.Now())
}
