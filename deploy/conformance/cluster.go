//go:build linux

package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

//go:embed class.yaml
var classManifest string

const (
	// ownClass is the class that class.yaml makes, ownNamespace the namespace.
	ownClass, ownNamespace = "headgate-conformance", "headgate-conformance"
	// productName is the name of an installed controller, hostName that of one that runs beside the suite.
	productName, hostName = "headgate.dev/gateway-controller", "headgate.dev/conformance-controller"
)

// echoImages are the images that the suite's manifests name. The same program serves both.
var echoImages = []string{
	"registry.k8s.io/gateway-api/conformance/echo-basic:v0.1.0",
	"registry.k8s.io/gateway-api/conformance/echo-basic:v0.2.0",
}

// suiteNamespace matches the names of the namespaces that the suite makes, and removes unless it is interrupted.
var suiteNamespace = regexp.MustCompile(`^namespace/gateway-(conformance|api)-`)

// cluster is the test cluster, by its tool.
type cluster struct{ tool string }

// do runs the tool and returns what it prints.
func (c cluster) do(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.tool, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", c.tool, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

func (c cluster) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return c.do(ctx, strings.NewReader(stdin), append([]string{"kubectl"}, args...)...)
}

// prepare brings the cluster to where the suite can begin, and returns what is to be called when it has ended.
func (c cluster) prepare(ctx context.Context, o options, p programs) (stop func(), err error) {
	if _, err := c.do(ctx, nil, "crds", o.channel); err != nil {
		return nil, err
	}
	for _, name := range echoImages {
		if _, err := c.do(ctx, nil, "load-program", name, p.echo); err != nil {
			return nil, err
		}
	}
	if !o.keep {
		if err := c.clean(ctx); err != nil {
			return nil, err
		}
	}
	stop, name, err := c.start(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.class == ownClass {
		err = c.applyClass(ctx, name)
	}
	if err == nil {
		_, err = c.kubectl(ctx, "", "wait", "--for=condition=Accepted", "--timeout=60s", "gatewayclass", o.class)
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// applyClass applies the class of the suite for a controller. The controller of a class cannot be changed, so a class of another one goes first.
func (c cluster) applyClass(ctx context.Context, controller string) error {
	has, err := c.kubectl(ctx, "", "get", "gatewayclass", ownClass, "--ignore-not-found", "--output=jsonpath={.spec.controllerName}")
	if err == nil && has != "" && has != controller {
		_, err = c.kubectl(ctx, "", "delete", "gatewayclass", ownClass)
	}
	if err == nil {
		_, err = c.kubectl(ctx, strings.ReplaceAll(classManifest, "CONTROLLER", controller), "apply", "--server-side", "--force-conflicts", "-f", "-")
	}
	return err
}

// start sees to a controller, and returns what stops it and the name by which classes ask for it.
func (c cluster) start(ctx context.Context, o options) (stop func(), name string, err error) {
	stop, name = func() {}, productName
	if o.controller == "none" {
		return stop, name, nil
	}
	image, err := c.loadImage(ctx, o.image)
	if err != nil {
		return nil, "", err
	}
	if o.controller == "image" {
		return stop, name, c.install(ctx, o, image)
	}
	stop, err = c.runHere(ctx, o, image)
	return stop, hostName, err
}

// clean removes what an interrupted run left, which this one would take for its own.
func (c cluster) clean(ctx context.Context) error {
	all, err := c.kubectl(ctx, "", "get", "namespaces", "--output=name")
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(strings.Fields(all), func(name string) bool { return !suiteNamespace.MatchString(name) })
	if len(left) == 0 {
		return nil
	}
	_, err = c.kubectl(ctx, "", append([]string{"delete", "--ignore-not-found", "--timeout=3m"}, left...)...)
	return err
}

// loadImage loads the image of controller and proxies under a name that changes with it, so that an older one is replaced.
func (c cluster) loadImage(ctx context.Context, archive string) (name string, err error) {
	digest, err := os.ReadFile(strings.TrimSuffix(archive, ".tar") + ".digest")
	if err != nil {
		return "", fmt.Errorf("reading the digest of the image: %w; run make image", err)
	}
	_, hash, _ := strings.Cut(strings.TrimSpace(string(digest)), "sha256:")
	if len(hash) < 12 {
		return "", fmt.Errorf("the digest of the image is %q", digest)
	}
	name = "headgate.dev/headgate:" + hash[:12]
	_, err = c.do(ctx, nil, "load-image", "--name", name, archive)
	return name, err
}

// install runs the controller from the image.
func (c cluster) install(ctx context.Context, o options, image string) error {
	cmd := exec.CommandContext(ctx, o.headgate, "install", "--image", image, "--replicas", "1")
	cmd.Stderr = os.Stderr
	manifests, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s install: %w", o.headgate, err)
	}
	if _, err := c.kubectl(ctx, string(manifests), "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		return err
	}
	_, err = c.kubectl(ctx, "", "--namespace", "headgate-system", "rollout", "status", "deployment/headgate", "--timeout=2m")
	return err
}
