//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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
	host, err := c.host(ctx)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(o.out, "controller.log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(o.headgate, "controller", "--controller-name", hostName, "--namespace", ownNamespace, "--image", image,
		"--host", host, "--xds-address", ":"+xdsPort, "--exchange-address", ":"+exchangePort,
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

// host is the address at which pods reach this machine.
func (c cluster) host(ctx context.Context) (string, error) {
	out, err := c.do(ctx, nil, "status", "--output", "json")
	if err != nil {
		return "", err
	}
	var status struct{ Host string }
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return "", fmt.Errorf("reading the status of the cluster: %w", err)
	}
	return status.Host, nil
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
