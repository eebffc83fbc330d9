package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"headgate.dev/cmd/internal/footprint"
	"headgate.dev/proxy/controller"
)

const controllerLong = `Run a replica of the controller, in its pod: it serves the Gateways of every GatewayClass that names
headgate.dev/gateway-controller, each with a fleet of Envoys of its own in the Gateway's namespace.

Every replica reads the cluster and serves proxies; one of them leads (--leader-elect) and alone writes: the status of
objects, the fleets, and the Secret with the certificate authority. When replicas end or all are gone, Envoys serve what they have.

Proxies get their certificates at --exchange-address and their configuration at --xds-address, by mutual TLS. They
call the Service of all replicas (--service), or --host where the controller runs outside of the cluster.

The replica that leads also follows Git for every Sync object (--agent=false: none does): it fetches, renders and applies, as the
service account that the Sync names.

Probes and metrics:
  /healthz   on --health-address: the process answers
  /readyz    on --health-address: the cluster has been read, proxies may call
  /metrics   on --metrics-address, in the format of Prometheus

It reads POD_NAME and POD_NAMESPACE, and outside of a cluster KUBECONFIG. Its log is one JSON object per line on
standard error.`

// controllerFlags are the flags of `headgate controller`.
type controllerFlags struct {
	o                   controller.Options
	logLevel, logFormat string
	agent               agentFlags
}

var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

func controllerCommand(s streams) *cobra.Command {
	f := controllerFlags{logLevel: "info", logFormat: "json"}
	c := &cobra.Command{
		Use:   "controller",
		Short: "Run the controller of a cluster's Gateways, in its pod",
		Long:  controllerLong,
		Example: `  headgate controller --leader-elect
  KUBECONFIG=~/.kube/config headgate controller --namespace headgate-system \
    --image registry.example.com/headgate:v1 --host 198.51.100.7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := f.complete(s)
			if err != nil {
				return usageError{err}
			}
			if f.o.Config, err = config.GetConfig(); err != nil {
				return fmt.Errorf("finding the API server: %w", err)
			}
			f.o.Log = log
			f.o.Extend = f.agent.extend(log)
			go footprint.Settle(cmd.Context())
			return controller.Run(cmd.Context(), f.o)
		},
	}
	flags := c.Flags()
	flags.BoolVar(&f.o.LeaderElect, "leader-elect", false, "let one of several replicas write; needed wherever there may be a second one")
	flags.StringVar(&f.o.XDSAddress, "xds-address", ":18000", "where to serve configuration: [HOST]:PORT")
	flags.StringVar(&f.o.ExchangeAddress, "exchange-address", ":18001", "where to give certificates: [HOST]:PORT")
	flags.StringVar(&f.o.HealthAddress, "health-address", ":8081", "where to answer probes: [HOST]:PORT, or 0 for nowhere")
	flags.StringVar(&f.o.MetricsAddress, "metrics-address", ":8080", "where to serve metrics: [HOST]:PORT, or 0 for nowhere")
	flags.StringVar(&f.o.PprofAddress, "pprof-address", "", "where to serve profiles: [HOST]:PORT (default nowhere)")
	flags.StringVar(&f.o.Namespace, "namespace", "", "namespace of the controller (default $POD_NAMESPACE)")
	flags.StringVar((*string)(&f.o.Controller), "controller-name", controller.Name, "controllerName of the GatewayClasses that are served; two installations in one cluster must have two")
	flags.StringVar(&f.o.Image, "image", "", "image of the fleets (default: the controller's own)")
	flags.StringVar(&f.o.Service, "service", "headgate", "Service in front of all replicas, which proxies call")
	flags.StringVar(&f.o.Host, "host", "", "what proxies call instead of the Service")
	f.agent.add(flags)
	flags.StringVar(&f.logLevel, "log-level", f.logLevel, "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", f.logFormat, "json or text")
	mustComplete(c, "log-level", "debug", "info", "warn", "error")
	mustComplete(c, "log-format", "json", "text")
	return c
}

// complete checks the flags, fills in what the environment says, and makes the log.
func (f *controllerFlags) complete(s streams) (*slog.Logger, error) {
	for _, a := range []struct {
		flag, address string
		none          bool
	}{
		{"xds-address", f.o.XDSAddress, false}, {"exchange-address", f.o.ExchangeAddress, false},
		{"health-address", f.o.HealthAddress, true}, {"metrics-address", f.o.MetricsAddress, true},
	} {
		if a.none && a.address == "0" {
			continue
		}
		if _, port, err := net.SplitHostPort(a.address); err != nil || port == "" {
			return nil, fmt.Errorf("--%s %q: expected [HOST]:PORT", a.flag, a.address)
		}
	}
	level, ok := logLevels[f.logLevel]
	if err := oneOf("log-format", f.logFormat, "json", "text"); err != nil || !ok {
		return nil, errors.Join(err, oneOf("log-level", f.logLevel, "debug", "info", "warn", "error"))
	}
	if f.o.Namespace == "" {
		f.o.Namespace = s.getenv("POD_NAMESPACE")
	}
	if f.o.Namespace == "" {
		return nil, errors.New("--namespace: expected the controller's namespace, or POD_NAMESPACE in the environment")
	}
	f.o.Pod = s.getenv("POD_NAME")
	if err := f.agent.complete(); err != nil {
		return nil, err
	}
	return controllerLogger(s.err, f.logFormat, level), nil
}

func controllerLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}
