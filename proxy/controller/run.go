package controller

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/fleet"
	"headgate.dev/schema"
)

const leaseName = "headgate"

// Run runs a replica of the controller until ctx ends; then the error is nil.
func Run(ctx context.Context, o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	registerMetrics()
	logger := logr.FromSlogHandler(o.Log.Handler())
	ctrllog.SetLogger(logger)
	klog.SetLogger(logger)
	m, err := newManager(o, logger)
	if err != nil {
		return err
	}
	if o.Image == "" {
		if o.Image, err = ownImage(ctx, m.GetAPIReader(), &o); err != nil {
			return err
		}
	}
	r := newReplica(m, o)
	for _, part := range []manager.Runnable{r, (*leader)(r)} {
		if err := m.Add(part); err != nil {
			return fmt.Errorf("preparing the controller: %w", err)
		}
	}
	if err := m.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("preparing the health check: %w", err)
	}
	if err := m.AddReadyzCheck("serving", r.ready); err != nil {
		return fmt.Errorf("preparing the health check: %w", err)
	}
	if o.Extend != nil {
		if err := o.Extend(m, &Liveness{r.tracker}, &Traffic{replica: r, now: time.Now}); err != nil {
			return fmt.Errorf("preparing the controller: %w", err)
		}
	}
	if err := m.Start(ctx); err != nil {
		return fmt.Errorf("running the controller: %w", err)
	}
	return nil
}

func newManager(o Options, logger logr.Logger) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, gwv1.Install, schema.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("preparing the kinds: %w", err)
		}
	}
	config := rest.CopyConfig(o.Config)
	config.QPS = -1 // the API server's own fairness decides
	grace := 20 * time.Second
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{appLabel: fleet.AppName})}
	m, err := manager.New(config, manager.Options{
		Scheme: scheme,
		Logger: logger,
		Cache: cache.Options{
			DefaultTransform: strip,
			ByObject: map[client.Object]cache.ByObject{
				&appsv1.Deployment{}: ours, &corev1.ServiceAccount{}: ours,
				&policyv1.PodDisruptionBudget{}: ours, &autoscalingv2.HorizontalPodAutoscaler{}: ours,
			},
		},
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Pod{}}}},
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:        o.HealthAddress,
		PprofBindAddress:              o.PprofAddress,
		GracefulShutdownTimeout:       &grace,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the controller: %w", err)
	}
	return m, nil
}

// appLabel is on every object of a fleet, with the value fleet.AppName.
const appLabel = "app.kubernetes.io/name"

// ownImage reads the image of the controller's own container.
func ownImage(ctx context.Context, reader client.Reader, o *Options) (string, error) {
	var pod corev1.Pod
	if err := reader.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Pod}, &pod); err != nil {
		return "", fmt.Errorf("reading the controller's own pod, for the image of the fleets: %w", err)
	}
	for _, c := range pod.Spec.Containers {
		if c.Name == "controller" {
			return c.Image, nil
		}
	}
	return "", fmt.Errorf("pod %s/%s has no container \"controller\" whose image the fleets could have", o.Namespace, o.Pod)
}

// ready is the readiness check: proxies may call.
func (r *replica) ready(*http.Request) error {
	select {
	case <-r.serving:
		return nil
	default:
		return fmt.Errorf("the objects of the cluster are being read")
	}
}

// listen opens a port that proxies call.
func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening at %s: %w", address, err)
	}
	return l, nil
}

// portOf gives the address that proxies call, for one that a replica listens at.
func (o *Options) advertised(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return address // listening at it says what is wrong
	}
	host := o.Host
	if host == "" {
		host = o.Service + "." + o.Namespace + ".svc"
	}
	return net.JoinHostPort(host, port)
}

// named gives a logger for one part of the controller.
func named(log *slog.Logger, part string) *slog.Logger { return log.With("part", part) }
