package engine

import (
	"cmp"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/gateway"
)

// secretUser is what names secrets: a Gateway, or a cluster of a fleet.
type secretUser struct {
	gateway types.NamespacedName
	cluster fleetCluster
}

type fleetSecret struct {
	fleet  string
	secret model.SecretID
}

// useSecrets publishes all that a user names and gives back what it named before.
func (s *step) useSecrets(user secretUser, fleet string, secrets []*model.Secret) {
	keys := make([]fleetSecret, len(secrets))
	for i, secret := range secrets {
		keys[i] = fleetSecret{fleet, secret.ID}
		s.put(fleet, mustTranslate(envoy.Secret(secret)))
	}
	_, removed := s.secrets.Put(user, keys)
	s.secretsDirty.Add(removed...)
}

// dropSecret takes a secret away that nothing names any more.
func (s *step) dropSecret(k fleetSecret) {
	if !s.secrets.Used(k) {
		s.remove(k.fleet, envoy.SecretKey(k.secret))
	}
}

// client notes the certificate that the backends of a fleet are shown. Where Gateways share a fleet, and with it the
// connections to backends, the first of them by name that has one decides.
func (s *step) client(fleet string, old, now *gateway.Result) {
	if backendClient(old) == backendClient(now) {
		return
	}
	var first *gateway.Result
	for name, g := range s.gateways {
		if g.BackendClient != "" && s.options.Fleet(name) == fleet && (first == nil || kube.CompareNames(name, first.Name) < 0) {
			first = g
		}
	}
	if id := backendClient(first); id != s.clients[fleet] {
		if s.clients[fleet] = id; id == "" {
			delete(s.clients, fleet)
		}
		for _, clusters := range s.backends {
			for c := range clusters {
				if c.fleet == fleet {
					s.clustersDirty.Add(c)
				}
			}
		}
	}
}

func backendClient(g *gateway.Result) model.SecretID {
	if g == nil {
		return ""
	}
	return g.BackendClient
}

func compareFleetSecrets(a, b fleetSecret) int {
	return cmp.Or(cmp.Compare(a.fleet, b.fleet), cmp.Compare(a.secret, b.secret))
}
