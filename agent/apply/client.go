package apply

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"headgate.dev/render/object"
)

// Manager is the field manager of everything that headgate applies.
const Manager = "headgate"

// client speaks to an API server as one user.
type client struct {
	objects dynamic.Interface
	metas   metadata.Interface
}

// newClient makes a client. An account impersonates: the API server adds the groups that every service account has by itself, so that
// headgate needs the right to impersonate accounts and no right to impersonate groups.
func newClient(config *rest.Config, account string) (*client, error) {
	own := rest.CopyConfig(config)
	own.QPS, own.Burst = -1, 0 // calls are bounded by how many are made at the same time
	own.WarningHandlerWithContext, own.WarningHandler = warnings{}, nil
	if account != "" {
		own.Impersonate = rest.ImpersonationConfig{UserName: account}
	}
	transport, err := rest.HTTPClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("making a client for the API server: %w", err)
	}
	c := &client{}
	if c.objects, err = dynamic.NewForConfigAndClient(own, transport); err != nil {
		return nil, fmt.Errorf("making a client for the API server: %w", err)
	}
	if c.metas, err = metadata.NewForConfigAndClient(metadata.ConfigFor(own), transport); err != nil {
		return nil, fmt.Errorf("making a client for the API server: %w", err)
	}
	return c, nil
}

// in gives the calls for a kind in a namespace, or in none.
func (c *client) in(t target, namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return c.objects.Resource(t.resource)
	}
	return c.objects.Resource(t.resource).Namespace(namespace)
}

// metaIn is in for calls that read metadata alone.
func (c *client) metaIn(t target, namespace string) metadata.ResourceInterface {
	if namespace == "" {
		return c.metas.Resource(t.resource)
	}
	return c.metas.Resource(t.resource).Namespace(namespace)
}

// patch is one server-side apply.
type patch struct {
	content map[string]any
	// dry tries it only.
	dry bool
	// force takes fields that others own.
	force bool
}

// apply sends a patch and gives the object as the API server has it then. Fields that the API server does not know are an error, as they
// are in every apply of kubectl: to drop them in silence would not be what Git says.
func (c *client) apply(ctx context.Context, t target, id object.ID, p patch) (*unstructured.Unstructured, error) {
	content := p.content
	if content["apiVersion"] != t.apiVersion() {
		content = maps.Clone(content)
		content["apiVersion"] = t.apiVersion()
	}
	options := metav1.PatchOptions{FieldManager: Manager, FieldValidation: metav1.FieldValidationStrict}
	if p.dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	if p.force {
		options.Force = &p.force
	}
	return c.in(t, id.Namespace).Patch(ctx, id.Name, types.ApplyPatchType, object.AppendJSON(nil, content), options)
}

// remove deletes the very object that a precondition names. What it owns goes in the background.
func (c *client) remove(ctx context.Context, t target, id object.ID, s seen) error {
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{
		PropagationPolicy: &background,
		Preconditions:     &metav1.Preconditions{UID: &s.uid, ResourceVersion: &s.version},
	}
	return c.in(t, id.Namespace).Delete(ctx, id.Name, options)
}

// warnings hands the warnings of an API server to whoever made the call.
type warnings struct{}

// warningKey is the key of a context's func(string).
type warningKey struct{}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _, text string) {
	const warning = 299 // the one code that API servers use, https://www.rfc-editor.org/rfc/rfc7234#section-5.5
	if tell, ok := ctx.Value(warningKey{}).(func(string)); ok && code == warning && text != "" {
		tell(text)
	}
}

// code gives the HTTP status of an API server's refusal, 0 for any other error.
func code(err error) int {
	if s, ok := statusOf(err); ok {
		return int(s.Code)
	}
	return 0
}

// isMissing tells whether what was asked for is not there.
func isMissing(err error) bool {
	return code(err) == http.StatusNotFound || code(err) == http.StatusGone
}
