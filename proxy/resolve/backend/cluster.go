package backend

import (
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// Cluster gives the cluster of that name, and the secrets it needs beside client, the certificate that the proxy shows to
// backends with TLS; empty: none. It is nil when the Service has no such port, and for a mix, which is made of others.
func Cluster(s *kube.Snapshot, id model.ClusterID, client model.SecretID) (*model.Cluster, []*model.Secret) {
	if id.Mix {
		return nil, nil
	}
	service := types.NamespacedName(id.Service)
	port := servicePort(s.Service(service), id)
	if port == nil {
		return nil, nil
	}
	out := &model.Cluster{ID: id, Zones: prefersZones(s.Service(service))}
	if !secures(id.Protocol) {
		return out, nil
	}
	p := effective(s, service, port)
	if p == nil {
		return out, nil
	}
	r := read(s, p)
	if r.tls == nil {
		return out, nil // Endpoints has none for it
	}
	out.TLS = r.tls
	out.TLS.Client = client
	if r.ca == nil {
		return out, nil
	}
	return out, []*model.Secret{r.ca}
}

// secures tells whether policies apply to what is spoken.
func secures(p model.Protocol) bool { return p == model.HTTP || p == model.H2C || p == model.TLS }
