package controller

import (
	"errors"
	"log/slog"
	"os"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/pki"
)

// Name is the controllerName of the GatewayClasses that are served where nothing else is said.
const Name = "headgate.dev/gateway-controller"

// Options of Run.
type Options struct {
	// Config is how to reach the API server. Its limits on requests do not count.
	Config *rest.Config
	Log    *slog.Logger

	// Controller is the controllerName of the GatewayClasses that are served. Empty: Name. Two installations in one cluster must
	// have two.
	Controller gwv1.GatewayController

	// Pod is the controller's own pod, and Namespace where it is: where the lease and the Secret of the certificate authority are.
	Pod, Namespace string
	// Image of the fleets. Empty: the image of Pod, of its container "controller".
	Image string
	// Service is the name of the Service in front of all replicas, in Namespace: what proxies call, with the ports of XDSAddress
	// and ExchangeAddress. Empty: "headgate".
	Service string
	// Host, where it is not empty, is what proxies call in place of Service: for a controller that runs outside of the cluster.
	Host string

	// LeaderElect is off where there can only be one controller.
	LeaderElect bool
	// Addresses to listen at. XDSAddress and ExchangeAddress are required; the others may be "0" for not at all.
	XDSAddress, ExchangeAddress, HealthAddress, MetricsAddress string
	// PprofAddress serves profiles; empty: not at all.
	PprofAddress string

	// Policy of the certificates.
	Policy pki.Policy

	// Extend, where it is not nil, adds other parts to the process before the manager starts: they share its cache, its lease and its
	// end. Of cached objects, managedFields are dropped.
	Extend func(manager.Manager, *Liveness, *Traffic) error
}

func (o *Options) complete() error {
	if o.Controller == "" {
		o.Controller = Name
	}
	if o.Service == "" {
		o.Service = "headgate"
	}
	if o.Namespace == "" {
		return errors.New("the namespace of the controller is not known: set POD_NAMESPACE")
	}
	if o.Pod == "" {
		name, err := os.Hostname()
		if err != nil {
			return errors.New("the name of the controller's pod is not known: set POD_NAME")
		}
		o.Pod = name
	}
	return nil
}
