package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/proxy/fleet"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/pki"
	"headgate.dev/proxy/xds"
)

// reviewer asks the API server whose a token is.
type reviewer struct{ client client.Client }

// The extra fields of a token that is bound to a pod.
const (
	podNameKey = "authentication.kubernetes.io/pod-name"
	podUIDKey  = "authentication.kubernetes.io/pod-uid"
	userPrefix = "system:serviceaccount:"
)

// Review implements pki.Reviewer.
func (r *reviewer) Review(ctx context.Context, token, audience string) (pki.Caller, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}}}
	if err := r.client.Create(ctx, review); err != nil {
		return pki.Caller{}, fmt.Errorf("asking the API server about a token: %w", err)
	}
	if !review.Status.Authenticated {
		return pki.Caller{}, &pki.Refusal{Reason: "the API server does not know the token: " + review.Status.Error}
	}
	u := &review.Status.User
	namespace, account, ok := strings.Cut(strings.TrimPrefix(u.Username, userPrefix), ":")
	if !ok || !strings.HasPrefix(u.Username, userPrefix) {
		return pki.Caller{}, &pki.Refusal{Reason: "the token is not a ServiceAccount's"}
	}
	return pki.Caller{
		Audiences: review.Status.Audiences, Namespace: namespace, ServiceAccount: account,
		Pod: one(u.Extra[podNameKey]), PodUID: one(u.Extra[podUIDKey]),
	}, nil
}

func one(values authenticationv1.ExtraValue) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// membership knows which Gateway a pod serves.
type membership struct {
	live client.Reader
	book *book
	// class gives the class of a Gateway of ours.
	class func(context.Context, types.NamespacedName) (string, error)
}

// PlaceOf implements pki.Gateways.
func (m *membership) PlaceOf(ctx context.Context, caller pki.Caller) (pki.Place, error) {
	name := types.NamespacedName{Namespace: caller.Namespace, Name: caller.Pod}
	var pod corev1.Pod
	switch err := m.live.Get(ctx, name, &pod); {
	case apierrors.IsNotFound(err):
		return pki.Place{}, &pki.Refusal{Reason: fmt.Sprintf("there is no pod %s", name)}
	case err != nil:
		return pki.Place{}, fmt.Errorf("reading pod %s: %w", name, err)
	case string(pod.UID) != caller.PodUID:
		return pki.Place{}, &pki.Refusal{Reason: fmt.Sprintf("the token is of an earlier pod %s", name)}
	case pod.Spec.ServiceAccountName != caller.ServiceAccount:
		return pki.Place{}, &pki.Refusal{Reason: fmt.Sprintf("the token is not of the ServiceAccount of pod %s", name)}
	}
	gateway := types.NamespacedName{Namespace: pod.Namespace, Name: fleet.ClaimedBy(&pod)}
	if gateway.Name == "" {
		return pki.Place{}, &pki.Refusal{Reason: fmt.Sprintf("pod %s serves no Gateway", name)}
	}
	if _, ours := m.book.gateway(gateway); !ours {
		return pki.Place{}, fmt.Errorf("Gateway %s, which pod %s says it serves, is not one of ours by now", gateway, name) //nolint:staticcheck // the kind is a name
	}
	class, err := m.class(ctx, gateway)
	if err != nil {
		return pki.Place{}, err
	}
	if !fleet.Serves(&pod, model.Name(gateway), class) {
		return pki.Place{}, &pki.Refusal{Reason: fmt.Sprintf("pod %s is not one of the fleet of Gateway %s", name, gateway)}
	}
	// Kubernetes puts the zone of the node on the pod, so that nobody needs a right to read nodes.
	return pki.Place{Gateway: gateway.Name, Zone: pod.Labels[corev1.LabelTopologyZone]}, nil
}

// authenticate tells by its certificate which proxy calls.
func authenticate(door *pki.Door) func(context.Context, xds.Peer) (xds.Identity, error) {
	return func(_ context.Context, peer xds.Peer) (xds.Identity, error) {
		if peer.TLS == nil {
			return xds.Identity{}, errors.New("a proxy calls without TLS")
		}
		p, err := door.Proxy(peer.TLS)
		if err != nil {
			return xds.Identity{}, err
		}
		return xds.Identity{Fleet: fleetOf(types.NamespacedName{Namespace: p.Namespace, Name: p.Gateway}), Proxy: p.Pod}, nil
	}
}
