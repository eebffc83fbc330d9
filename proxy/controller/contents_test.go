package controller

import (
	"context"
	"log/slog"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/controller/inbox"
	"headgate.dev/proxy/kube"
)

// everything is a reader for which every object exists.
type everything struct{ client.Reader }

func (everything) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	o.SetNamespace(key.Namespace)
	o.SetName(key.Name)
	return nil
}

func withCertificate(name string) *gwv1.Gateway {
	return &gwv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name},
		Spec: gwv1.GatewaySpec{Listeners: []gwv1.Listener{{Name: "tls", Port: 443, Protocol: gwv1.TLSProtocolType,
			TLS: &gwv1.ListenerTLSConfig{CertificateRefs: []gwv1.SecretObjectReference{{Name: "certificate"}}}}}},
	}
}

// A Secret goes from one Gateway to another at once: it stays, in whichever order that is told.
func TestContentsPassFromOneToAnother(t *testing.T) {
	first, second := kube.ChangeOf(kube.Gateway, withCertificate("first")), kube.ChangeOf(kube.Gateway, withCertificate("second"))
	gone := kube.Change{Kind: kube.Gateway, Name: first.Name}
	for _, batch := range [][]kube.Change{{gone, second}, {second, gone}} {
		c := &contents{reader: everything{}, log: slog.New(slog.DiscardHandler), todo: inbox.New(), done: inbox.New()}
		c.todo.Put(first)
		c.catchUp(t.Context())
		c.done.Take()
		c.todo.Put(batch...)
		c.catchUp(t.Context())
		changes, _ := c.done.Take()
		for _, change := range changes {
			if change.Kind == kube.Secret && change.Object == nil {
				t.Errorf("the Secret is said to be gone after %v", batch)
			}
		}
		c.todo.Put(kube.Change{Kind: kube.Gateway, Name: second.Name})
		c.catchUp(t.Context())
		said := false
		changes, _ = c.done.Take()
		for _, change := range changes {
			said = said || change.Kind == kube.Secret && change.Object == nil
		}
		if !said {
			t.Error("a Secret that nothing names any more is kept")
		}
	}
}
