//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Ports of a controller on the host; an installed one has its own in the cluster.
const (
	xdsPort, exchangePort = "18100", "18101"
	hostHealth            = "127.0.0.1:18102"
	hostMetrics           = "127.0.0.1:18103"
)

// runHere runs a controller as a process on the host, as the administrator, until stop is called. Its log is in the run's directory.
func (c cluster) runHere(ctx context.Context, o options, image string) (stop func(), err error) {
	if _, err := c.kubectl(ctx, "", "apply", "--server-side", "--force-conflicts", "-k", "deploy/crds"); err != nil {
		return nil, err
	}
	namespace := `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"` + ownNamespace + `"}}`
	if _, err := c.kubectl(ctx, namespace, "apply", "--server-side", "-f", "-"); err != nil {
		return nil, err
	}
	kubeconfig, err := c.do(ctx, nil, "kubeconfig")
	if err != nil {
		return nil, err
	}
	own, err := c.addresses(ctx)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(o.out, "controller.log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(o.headgate, "controller", "--controller-name", hostName, "--namespace", ownNamespace, "--image", image,
		"--host", own.Host, "--xds-address", ":"+xdsPort, "--exchange-address", ":"+exchangePort,
		"--health-address", hostHealth, "--metrics-address", hostMetrics, "--pprof-address", "127.0.0.1:18104", "--log-format", "text")
	cmd.Env, cmd.Stderr = append(os.Environ(), "KUBECONFIG="+kubeconfig), log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", o.headgate, err)
	}
	ended := make(chan error, 1)
	go func() { // ends with the controller
		ended <- cmd.Wait()
		close(ended)
		log.Close()
	}()
	stop = func() {
		err := cmd.Process.Signal(unix.SIGTERM)
		if end := <-ended; err == nil && end != nil {
			fmt.Fprintln(os.Stderr, "the controller ended with:", end)
		}
	}
	if err := ready(ctx, ended); err != nil {
		stop()
		return nil, fmt.Errorf("waiting for the controller, whose log is %s: %w", log.Name(), err)
	}
	return stop, nil
}

// addresses are those of the test cluster that matter here.
type addresses struct {
	Host string // at which pods reach this machine
	Pool string // FIRST-LAST, those that Services get by themselves
}

func (c cluster) addresses(ctx context.Context) (a addresses, err error) {
	out, err := c.do(ctx, nil, "status", "--output", "json")
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		return a, fmt.Errorf("reading the status of the cluster: %w", err)
	}
	return a, nil
}

// static is an address that a Service gets only when it asks for it: some beyond the last that is given.
func (c cluster) static(ctx context.Context) (string, error) {
	a, err := c.addresses(ctx)
	if err != nil {
		return "", err
	}
	return beyond(a.Pool)
}

func beyond(pool string) (string, error) {
	const further = 11
	_, last, _ := strings.Cut(pool, "-")
	address, err := netip.ParseAddr(last)
	if err != nil || !address.Is4() {
		return "", fmt.Errorf("the cluster's addresses for load balancers are %q, not FIRST-LAST", pool)
	}
	b := address.As4()
	b[3] += further
	return netip.AddrFrom4(b).String(), nil
}

// ready waits until the controller calls itself ready.
func ready(ctx context.Context, ended chan error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return errors.Join(errors.New("it ended"), err)
		case <-tick.C:
		}
		response, err := http.Get("http://" + hostHealth + "/readyz")
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
	}
}
