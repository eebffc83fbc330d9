package controller

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/agent/apply"
	"headgate.dev/agent/plan"
)

// account is the cluster as one service account sees it, for one Sync.
type account struct {
	*apply.Applier
	reader client.Reader
	owner  plan.Owner
	drifts *drifts
}

// accounts makes them.
type accounts struct {
	config  *rest.Config   // headgate's own
	options client.Options // constant
	applier apply.Config   // all but Owner and Account

	mu      sync.Mutex // guards readers
	readers map[string]client.Reader

	drifts *drifts // constant
}

func (a *accounts) of(owner plan.Owner, name string) (agent.Account, error) {
	config := a.applier
	config.Owner, config.Account = owner, name
	applier, err := apply.New(config)
	if err != nil {
		return nil, err
	}
	reader, err := a.reader("system:serviceaccount:" + owner.Namespace + ":" + name)
	if err != nil {
		return nil, err
	}
	return &account{Applier: applier, reader: reader, owner: owner, drifts: a.drifts}, nil
}

// reader gives a client that is somebody else. It reads from the API server, not from a cache: what headgate itself may read is not what
// the account may.
func (a *accounts) reader(user string) (client.Reader, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.readers[user]; r != nil {
		return r, nil
	}
	config := rest.CopyConfig(a.config)
	config.QPS = -1
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	c, err := client.New(config, a.options)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", user, err)
	}
	a.readers[user] = c
	return c, nil
}

// Secret implements agent.Reader.
func (a *account) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	var s corev1.Secret
	err := a.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &s)
	return s.Data, err
}

// ConfigMap implements agent.Reader.
func (a *account) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	var c corev1.ConfigMap
	err := a.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &c)
	return c.Data, err
}

// defaultFor is the annotation of a Gateway that is a default.
const defaultFor = "headgate.dev/default-for"

// DefaultGateways implements agent.Reader.
func (a *account) DefaultGateways(ctx context.Context) ([]agent.DefaultGateway, error) {
	var list gwv1.GatewayList
	if err := a.reader.List(ctx, &list); err != nil {
		return nil, err
	}
	var out []agent.DefaultGateway
	for _, g := range list.Items {
		if value := g.Annotations[defaultFor]; value != "" && g.DeletionTimestamp == nil {
			out = append(out, agent.DefaultGateway{Namespace: g.Namespace, Name: g.Name, For: value})
		}
	}
	return out, nil
}
