package controller

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/proxy/pki"
)

const (
	// authoritySecret has the certificate authority, in the controller's namespace, under authorityKey.
	authoritySecret = "headgate-authority"
	authorityKey    = "authority.pem"

	lookForFirst = 250 * time.Millisecond // while there is no authority
	lookForNext  = 30 * time.Second       // a root is announced for a day before it signs
)

// authority keeps the certificate authority: every replica reads it, the leader makes and renews it.
type authority struct {
	client client.Client
	live   client.Reader
	name   types.NamespacedName
	self   pki.Controller
	policy pki.Policy
	log    *slog.Logger
	now    func() time.Time
	// changed is called after the anchors have changed.
	changed func()
	lead    chan struct{} // closed when this replica leads
	first   chan struct{} // closed when there is a door

	mu      sync.Mutex // guards what follows
	door    *pki.Door
	anchors []byte
	text    []byte // of the authority in use
}

// run looks after the authority until ctx ends.
func (a *authority) run(ctx context.Context) {
	lead := a.lead
	for {
		wait := lookForNext
		if err := a.look(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("looking after the certificate authority", "error", err)
		}
		if _, ok := a.trusted(); !ok {
			wait = lookForFirst
		}
		select {
		case <-ctx.Done():
			return
		case <-lead:
			lead = nil
		case <-time.After(wait):
		}
	}
}

func (a *authority) leads() bool {
	select {
	case <-a.lead:
		return true
	default:
		return false
	}
}

// look reads the authority; the leader makes it, and what follows it, first.
func (a *authority) look(ctx context.Context) error {
	var s corev1.Secret
	err := a.live.Get(ctx, a.name, &s)
	if apierrors.IsNotFound(err) {
		if !a.leads() {
			return nil
		}
		return a.create(ctx)
	}
	if err != nil {
		return fmt.Errorf("reading Secret %s: %w", a.name, err)
	}
	current, err := pki.ParseAuthority(a.policy, s.Data[authorityKey])
	if err != nil {
		return fmt.Errorf("reading Secret %s: %s: %w", a.name, authorityKey, err)
	}
	if !a.leads() {
		return a.use(current, s.Data[authorityKey])
	}
	next, err := current.Step(a.now())
	if err != nil {
		return fmt.Errorf("renewing the certificate authority: %w", err)
	}
	if next == current {
		return a.use(current, s.Data[authorityKey])
	}
	text, err := next.PEM()
	if err != nil {
		return fmt.Errorf("writing the certificate authority: %w", err)
	}
	s.Data[authorityKey] = text
	if err := a.client.Update(ctx, &s); err != nil {
		return fmt.Errorf("writing Secret %s: %w", a.name, err)
	}
	a.log.Info("certificate authority has a new set of roots")
	return a.use(next, text)
}

func (a *authority) create(ctx context.Context) error {
	made, err := pki.NewAuthority(a.policy, a.now())
	if err != nil {
		return fmt.Errorf("making a certificate authority: %w", err)
	}
	text, err := made.PEM()
	if err != nil {
		return fmt.Errorf("writing the certificate authority: %w", err)
	}
	err = a.client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: a.name.Namespace, Name: a.name.Name,
			Labels: map[string]string{"app.kubernetes.io/name": "headgate", "app.kubernetes.io/part-of": "headgate"},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{authorityKey: text},
	})
	if err != nil {
		return fmt.Errorf("writing Secret %s: %w", a.name, err)
	}
	a.log.Info("made a certificate authority", "secret", a.name.String())
	return a.use(made, text)
}

// use has everything follow an authority.
func (a *authority) use(next *pki.Authority, text []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if bytes.Equal(a.text, text) {
		return nil
	}
	if a.door == nil {
		door, err := pki.NewDoor(next, a.self, a.now)
		if err != nil {
			return err
		}
		a.door = door
		close(a.first)
	} else if err := a.door.Use(next); err != nil {
		return err
	}
	a.text = bytes.Clone(text)
	if anchors := next.Anchors(); !bytes.Equal(anchors, a.anchors) {
		a.anchors = anchors
		go a.changed() // may ask for the anchors
	}
	return nil
}

// trusted gives the certificates that proxies know controllers by; ok is false as long as there are none.
func (a *authority) trusted() (anchors []byte, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.anchors, a.anchors != nil
}

// opened waits until there is a door.
func (a *authority) opened(ctx context.Context) (*pki.Door, error) {
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the certificate authority: %w", context.Cause(ctx))
	case <-a.first:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.door, nil
}
