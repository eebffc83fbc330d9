package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"headgate.dev/cmd/internal/footprint"
	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/pki"
	"headgate.dev/proxy/process"
)

// proxyPod is `headgate proxy` at work.
type proxyPod struct {
	proxyFlags
	log    *slog.Logger
	client *pki.Client
	admin  *process.Admin
	health *process.Health
	reaper *process.Reaper
	stdout *os.File      // for access logs; nil: with the log
	files  string        // the private directory
	first  chan struct{} // closed with the first certificate
	zone   string        // with the first certificate: a pod does not move
	trust  []byte        // the anchors that Envoy has
}

// run runs until the context ends (the first signal), and then drains.
func (f proxyFlags) run(ctx context.Context, s streams) error {
	footprint.Save()
	p := &proxyPod{proxyFlags: f, log: podLogger(s.err, f.logFormat), first: make(chan struct{})}
	p.stdout, _ = s.out.(*os.File)
	if err := p.run(ctx); err != nil {
		p.log.Error("the proxy cannot go on", "error", err.Error())
		return errSaid
	}
	return nil
}

func (p *proxyPod) run(ctx context.Context) error {
	p.files = filepath.Join(p.dir, "envoy")
	if err := os.MkdirAll(p.files, 0o700); err != nil {
		return fmt.Errorf("making the private directory: %w", err)
	}
	// Its owner is whoever runs this, also where it was left by the container before.
	if err := os.Chmod(p.files, 0o700); err != nil {
		return fmt.Errorf("making the directory private: %w", err)
	}
	p.client = &pki.Client{Address: p.exchange, TokenFile: p.token, AnchorsFile: p.anchors}
	p.admin = process.NewAdmin("unix", p.file("admin"))
	p.health = process.NewHealth(p.admin)

	// Everything beside Envoy lasts until Envoy has ended.
	beside, end := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	defer wait.Wait()
	defer end()
	if os.Getpid() == 1 {
		p.reaper = &process.Reaper{}
		wait.Go(func() { p.reaper.Run(beside) })
	}
	stop, err := p.serveHealth()
	if err != nil {
		return err
	}
	defer stop()
	if err := p.updateTrust(); err != nil {
		return err
	}
	wait.Go(func() { p.followTrust(beside) })
	wait.Go(func() { footprint.KeepSmall(beside) })
	wait.Go(func() { p.client.Renew(beside, pki.RenewOptions{Got: p.got, Failed: p.failed}) })
	select {
	case <-p.first:
	case <-ctx.Done():
		return nil // there is nobody to take leave of
	}
	return p.runEnvoy(ctx)
}

func (p *proxyPod) file(name string) string { return filepath.Join(p.files, name) }

// serveHealth answers probes from now on, until stop is called.
func (p *proxyPod) serveHealth() (stop func(), err error) {
	l, err := net.Listen("tcp", p.proxyFlags.health)
	if err != nil {
		return nil, fmt.Errorf("listening for probes: %w", err)
	}
	const patience = 5 * time.Second
	server := &http.Server{Handler: p.health, ReadTimeout: patience, WriteTimeout: 4 * patience, IdleTimeout: 4 * patience, MaxHeaderBytes: 16 << 10}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("probes are not answered any more", "error", err.Error())
		}
	}()
	p.log.Info("answering probes", "address", l.Addr().String())
	return func() { server.Close() }, nil
}

// got hands a certificate to Envoy.
func (p *proxyPod) got(c pki.Certificate) error {
	text, err := envoy.CertificateFile(c.Chain, c.Key)
	if err != nil {
		return err
	}
	if err := p.replace(envoy.CertificateFileName, text); err != nil {
		return err
	}
	p.log.Info("got a certificate", "identity", c.Proxy.String(), "zone", c.Zone, "notAfter", c.NotAfter.UTC())
	select {
	case <-p.first:
	default:
		p.zone = c.Zone
		close(p.first)
	}
	return nil
}

func (p *proxyPod) failed(err error, again time.Duration) {
	p.log.Warn("got no certificate", "error", err.Error(), "againIn", again.String())
}

// updateTrust hands the anchors to Envoy, if they are others than it has.
func (p *proxyPod) updateTrust() error {
	anchors, err := p.client.Anchors()
	if err != nil || bytes.Equal(anchors, p.trust) {
		return err
	}
	text, err := envoy.TrustFile(anchors)
	if err != nil {
		return err
	}
	if err := p.replace(envoy.TrustFileName, text); err != nil {
		return err
	}
	p.trust = anchors
	return nil
}

// followTrust looks at the anchors from time to time. While they are not to be had, the last ones stay.
func (p *proxyPod) followTrust(ctx context.Context) {
	ticker := time.NewTicker(p.poll)
	defer ticker.Stop()
	said := ""
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		before := p.trust
		err := p.updateTrust()
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			p.log.Error("the anchors stay as they were", "error", said)
		case err == nil:
			said = ""
			if !bytes.Equal(before, p.trust) {
				p.log.Info("got other anchors")
			}
		}
	}
}

// replace puts a file in the place of another in one step, which is also what Envoy waits for.
func (p *proxyPod) replace(name string, text []byte) error {
	next := p.file("." + name)
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(next, p.file(name)); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// runEnvoy runs Envoy until the context ends, and drains it.
func (p *proxyPod) runEnvoy(ctx context.Context) error {
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{
		NodeID: p.name, Zone: p.zone, XDS: p.xds, Admin: p.file("admin"), MaxConnections: p.maxConnections,
		TLS: &envoy.BootstrapTLS{Dir: p.files, ServerName: pki.ServerName},
	})
	if err != nil {
		return err
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- process.Run(running, p.options(bootstrap)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	p.drain(running, ended)
	end()
	return <-ended
}

func (p *proxyPod) options(bootstrap []byte) process.Options {
	return process.Options{
		Path: p.envoy, Bootstrap: bootstrap, Dir: p.files, Concurrency: p.concurrency,
		Args: []string{"--drain-time-s", strconv.FormatInt(int64(p.listenerDrain/time.Second), 10)},
		Log:  newEnvoyLog(p.log), Stdout: p.stdout, LogLevel: p.logLevel, Reaper: p.reaper,
		Serving: process.Live("unix", p.file("admin")),
		Started: func(pid int) {
			p.health.Started(pid)
			p.log.Info("started Envoy", "pid", pid)
		},
		Ready: func(pid int) {
			p.health.Ready(pid)
			p.log.Info("ready: Envoy has its first set of configuration", "pid", pid)
			footprint.Return()
		},
		Exited: func(err error, restartIn time.Duration) {
			p.health.Exited(err, restartIn)
			p.log.Error("Envoy ended; it is started again", "error", err.Error(), "in", restartIn.String())
		},
	}
}

// drain takes leave of clients. A second signal, or the end of Envoy, ends it.
func (p *proxyPod) drain(ctx context.Context, ended chan error) {
	p.health.Drain()
	p.log.Info("draining", "delay", p.drainDelay.String(), "timeout", p.drainTimeout.String())
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	began := time.Now()
	left, err := p.admin.Drain(ctx, process.Drain{Delay: p.drainDelay, Timeout: p.drainTimeout, Poll: p.drainPolling})
	if err != nil {
		p.log.Error("drained in part", "error", err.Error())
		return
	}
	p.log.Info("drained", "connectionsLeft", left, "took", time.Since(began).String())
}
