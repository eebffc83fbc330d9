package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// UsageError is a command line that is wrong.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap gives what is wrong with it.
func (e *UsageError) Unwrap() error { return e.Err }

func usage(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// NotFoundError is something that the cluster does not have.
type NotFoundError struct{ text string }

func (e *NotFoundError) Error() string { return e.text }

// ErrNotLive is what a wait ends with when the commit does not become live as it is. All that is to be said about it was said.
var ErrNotLive = errors.New("the commit is not live")

// ErrDiffers is what a comparison ends with that was to say by its exit code that there are differences.
var ErrDiffers = errors.New("there are differences")

// explain says what an error of a call means for the user, and what to do about it. Doing is the call: "reading Sync team-a/shop".
func (c *connection) explain(doing string, err error) error {
	var (
		network net.Error
		address *url.Error
	)
	switch {
	case err == nil:
		return nil
	case missingKind(err):
		return fmt.Errorf("%s: this cluster does not have headgate's custom resources; install them: %s install | kubectl apply --server-side -f -", doing, c.program.Name)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: %s does not take the credentials of %s: log in again, or choose another --context", doing, c.host, c.contextName())
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: %w; ask whoever runs the cluster, or choose another --context or --namespace", doing, err)
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network), errors.As(err, &address):
		return fmt.Errorf("%s: %s (%s) does not answer: %w; is the cluster up, and is it the right --context?", doing, c.host, c.contextName(), err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// missingKind tells whether an API server does not serve the kind that was asked for: then the answer is none of the kind's own, and names no object.
func missingKind(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details == nil || details.Name == "" || apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// explainConfig says what is wrong with the kubeconfig.
func explainConfig(err error) error {
	if clientcmd.IsEmptyConfig(err) {
		return errors.New("no cluster is configured: name a kubeconfig with --kubeconfig or KUBECONFIG, or make ~/.kube/config")
	}
	return fmt.Errorf("reading the kubeconfig: %w", err)
}
