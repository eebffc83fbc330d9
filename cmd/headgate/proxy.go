package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// proxyFlags are the flags of `headgate proxy`.
type proxyFlags struct {
	xds, exchange                     string
	token, anchors, dir               string
	envoy, name, health               string
	logLevel, logFormat               string
	concurrency                       int
	maxConnections                    int64
	drainDelay, drainTimeout          time.Duration
	listenerDrain, poll, drainPolling time.Duration
}

var envoyLogLevels = []string{"trace", "debug", "info", "warning", "error", "critical", "off"}

const proxyLong = `Run one Envoy of a Gateway: what the controller starts in the pods of a Gateway's fleet.

Who this proxy is, it does not say itself. It sends the token that the kubelet projects into the pod
(audience "headgate") to the controller's exchange and gets a certificate of 24 hours that names pod
and Gateway; it gets another one long before that ends. With it Envoy calls the controller's xDS port and gets what
this Gateway serves. --anchors are the certificates that the controller is known by. All files are
read again when they change; nothing is restarted, no connection is dropped.

Envoy is started again when it dies. When the controller is away, Envoy serves what it has.

Probes, on the --health address:
  /readyz    200 once Envoy has its whole first set of configuration, and until it ends or drains
  /livez     200 unless Envoy has said nothing for 30 s
  /metrics   Envoy's statistics, in the format of Prometheus

On SIGTERM /readyz fails at once and every HTTP connection is closed with its next answer, while new
ones are still served. After --drain-delay, when nobody should send any more, it waits for the last
connection, for --drain-timeout at most, and exits with 0. A second signal ends it now. Give the pod a
terminationGracePeriodSeconds of both together and 5 s more.

It writes to --dir alone (a private directory in it; use an emptyDir of medium Memory, keys lie there)
and needs no privilege. Its log is one JSON object per line on standard error, Envoy's own included;
access logs go to standard output as Envoy writes them.`

func proxyCommand(s streams) *cobra.Command {
	f := proxyFlags{
		token: "/var/run/secrets/headgate/token", anchors: "/etc/headgate/anchors/ca.crt", dir: "/run/headgate",
		envoy: "envoy", health: ":19901", logLevel: "warning", logFormat: "json", maxConnections: 50_000,
		drainDelay: 5 * time.Second, drainTimeout: time.Minute, listenerDrain: 10 * time.Minute,
		poll: 10 * time.Second, drainPolling: 500 * time.Millisecond,
	}
	c := &cobra.Command{
		Use:   "proxy --xds HOST:PORT --exchange HOST:PORT",
		Short: "Run one Envoy of a Gateway, as the first process of its pod",
		Long:  proxyLong,
		Example: `  headgate proxy --xds headgate.headgate-system.svc:18000 \
    --exchange headgate.headgate-system.svc:18001
  headgate proxy --xds 127.0.0.1:18000 --exchange 127.0.0.1:18001 \
    --token ./token --anchors ./ca.crt --dir ./run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return usageError{err}
			}
			return f.run(cmd.Context(), s)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.xds, "xds", "", "where controllers serve configuration: HOST:PORT (required)")
	flags.StringVar(&f.exchange, "exchange", "", "where controllers give certificates: HOST:PORT (required)")
	flags.StringVar(&f.token, "token", f.token, "file with the projected token, audience headgate")
	flags.StringVar(&f.anchors, "anchors", f.anchors, "file with the certificates controllers are known by (PEM)")
	flags.StringVar(&f.dir, "dir", f.dir, "the one directory to write to")
	flags.StringVar(&f.envoy, "envoy", f.envoy, "the Envoy binary: a path, or a name on PATH")
	flags.StringVar(&f.name, "name", "", "what Envoy calls itself in logs; not its identity (default: the host name)")
	flags.StringVar(&f.health, "health", f.health, "address for probes and metrics: [HOST]:PORT")
	flags.StringVar(&f.logLevel, "log-level", f.logLevel, "of Envoy: "+strings.Join(envoyLogLevels, ", "))
	flags.StringVar(&f.logFormat, "log-format", f.logFormat, "json or text")
	flags.IntVar(&f.concurrency, "concurrency", 0, "Envoy's worker threads; 0: as many as the machine has cores")
	flags.Int64Var(&f.maxConnections, "max-connections", f.maxConnections, "of clients at a time")
	flags.DurationVar(&f.drainDelay, "drain-delay", f.drainDelay, "after SIGTERM, how long new connections may still come")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", f.drainTimeout, "after that, how long to wait for the last connection")
	flags.DurationVar(&f.listenerDrain, "listener-drain", f.listenerDrain, "how long old connections outlive a change of their listener")
	flags.DurationVar(&f.poll, "poll", f.poll, "how often to look whether the anchors have changed")
	mustComplete(c, "log-level", envoyLogLevels...)
	mustComplete(c, "log-format", "json", "text")
	return c
}

// check finds what is wrong with the flags, and fills in the name.
func (f *proxyFlags) check() error {
	if err := f.checkAddresses(); err != nil {
		return err
	}
	if min(f.drainDelay, f.drainTimeout, f.listenerDrain) < 0 || f.poll <= 0 {
		return errors.New("--drain-delay, --drain-timeout, --listener-drain: expected a duration, not a negative one; --poll: one above 0")
	}
	if f.concurrency < 0 {
		return errors.New("--concurrency: expected a number of threads, or 0")
	}
	if f.maxConnections < 1 {
		return errors.New("--max-connections: expected a number above 0")
	}
	if err := errors.Join(oneOf("log-level", f.logLevel, envoyLogLevels...), oneOf("log-format", f.logFormat, "json", "text")); err != nil {
		return err
	}
	if f.name == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("--name: there is no host name to take: %w", err)
		}
		f.name = name
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return fmt.Errorf("--dir %s: %w", f.dir, err)
	}
	f.dir = dir
	return nil
}

func (f *proxyFlags) checkAddresses() error {
	for _, a := range []struct{ flag, address string }{{"xds", f.xds}, {"exchange", f.exchange}, {"health", f.health}} {
		host, port, err := net.SplitHostPort(a.address)
		if err != nil || port == "" || host == "" && a.flag != "health" {
			return fmt.Errorf("--%s %q: expected HOST:PORT", a.flag, a.address)
		}
	}
	return nil
}
