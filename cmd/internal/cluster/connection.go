package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

// callTimeout is how long one call may take.
const callTimeout = 30 * time.Second

// Flags say which cluster and namespace are meant, as kubectl's of the same names.
type Flags struct {
	Kubeconfig, Context, Namespace string
	AllNamespaces                  bool
}

// Add adds the flags but for those that a namespace is named with.
func (f *Flags) Add(c *cobra.Command) {
	c.Flags().StringVar(&f.Kubeconfig, "kubeconfig", "", "kubeconfig file (default $KUBECONFIG, ~/.kube/config, or the pod's own account)")
	c.Flags().StringVar(&f.Context, "context", "", "context of the kubeconfig (default its current one)")
	complete(c, "context", f.completeContexts)
}

func (f *Flags) add(c *cobra.Command, p Program) {
	f.Add(c)
	c.Flags().StringVarP(&f.Namespace, "namespace", "n", "", "namespace (default that of the context)")
	complete(c, "namespace", f.completeNamespaces(p))
}

func (f *Flags) addAll(c *cobra.Command) {
	c.Flags().BoolVarP(&f.AllNamespaces, "all-namespaces", "A", false, "everything of all namespaces")
}

// complete completes the values of a flag.
func complete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag does not exist
	}
}

func (f *Flags) config() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: f.Context}
	overrides.Context.Namespace = f.Namespace
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

// connection is a cluster as a user.
type connection struct {
	client.WithWatch
	program       Program
	rest          *rest.Config
	namespace     string // that of the flags, or of the context
	context, host string
}

func (c *connection) contextName() string {
	if c.context == "" {
		return "the kubeconfig"
	}
	return "context " + c.context
}

// groupVersion is that of headgate's own kinds.
var groupVersion = runtimeschema.GroupVersion{Group: schema.Group, Version: "v1alpha1"}

// kinds are those that commands read and write, with the scope they have: so that nothing has to be asked for it.
func kinds() (*runtime.Scheme, meta.RESTMapper, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), gwv1.Install(scheme), schema.AddToScheme(scheme)); err != nil {
		return nil, nil, err
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	own := groupVersion
	for _, kind := range []string{schema.KindSync, schema.KindPreview} {
		mapper.Add(own.WithKind(kind), meta.RESTScopeNamespace)
	}
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	mapper.Add(runtimeschema.GroupVersion(gwv1.GroupVersion).WithKind("Gateway"), meta.RESTScopeNamespace)
	return scheme, mapper, nil
}

// connect makes no call.
func (f *Flags) connect(p Program) (*connection, error) {
	ctrllog.SetLogger(logr.Discard())
	loader := f.config()
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, explainConfig(err)
	}
	name := f.Context
	if name == "" {
		name = raw.CurrentContext
	}
	if _, known := raw.Contexts[name]; f.Context != "" && !known {
		return nil, usage("--context %q: the kubeconfig has no such context; it has %q", f.Context, contexts(raw.Contexts))
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, explainConfig(err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, explainConfig(err)
	}
	config.QPS = -1
	config.UserAgent = "headgate"
	config.WarningHandler = rest.NewWarningWriter(p.Err, rest.WarningWriterOptions{Deduplicate: true})
	scheme, mapper, err := kinds()
	if err != nil {
		return nil, fmt.Errorf("preparing a client: %w", err)
	}
	c := &connection{program: p, rest: config, namespace: namespace, context: name, host: config.Host}
	c.WithWatch, err = client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", config.Host, err)
	}
	return c, nil
}

func contexts[T any](all map[string]T) []string {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// short bounds the calls of a command that waits for nothing.
func short(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callTimeout)
}
