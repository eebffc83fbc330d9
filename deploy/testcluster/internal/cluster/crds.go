package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"headgate.dev/deploy/testcluster/internal/kube"
	"headgate.dev/deploy/testcluster/internal/node"
)

// Channels are those in which Gateway API publishes its CRDs.
var Channels = []string{"standard", "experimental"}

const annotation = "gateway.networking.k8s.io/"

// installed lists versions and channels of the Gateway API CRDs in the cluster, as in "1.7.0 standard"; usually one.
func installed(ctx context.Context, api *kube.Client) ([]string, error) {
	var list struct {
		Items []struct {
			Metadata struct {
				Name        string
				Annotations map[string]string
			}
		}
	}
	if err := api.Get(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &list); err != nil {
		return nil, err
	}
	var found []string
	for _, crd := range list.Items {
		m := crd.Metadata
		if !strings.HasSuffix(m.Name, ".gateway.networking.k8s.io") && !strings.HasSuffix(m.Name, ".gateway.networking.x-k8s.io") {
			continue
		}
		what := strings.TrimPrefix(m.Annotations[annotation+"bundle-version"], "v") + " " + m.Annotations[annotation+"channel"]
		if !slices.Contains(found, what) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return found, nil
}

// CRDs installs the Gateway API CRDs of the channel. Others that are there are in the way, unless replace: then they are removed first,
// with all their objects.
func (c *Cluster) CRDs(ctx context.Context, channel string, replace bool) error {
	if !slices.Contains(Channels, channel) {
		return fmt.Errorf("channel %q: only %s exist", channel, strings.Join(Channels, " and "))
	}
	spec, _, err := c.Running()
	if err != nil {
		return err
	}
	p, err := spec.Plan()
	if err != nil {
		return err
	}
	api, err := kube.New(node.Server(p), c.Layout.PKI())
	if err != nil {
		return err
	}
	c.Progress("Gateway API CRDs", "fetching "+c.Versions["gateway-api"])
	source, err := crdSource(ctx, c.Versions["gateway-api"])
	if err != nil {
		return err
	}
	have, err := installed(ctx, api)
	if err != nil {
		return err
	}
	if want := c.Versions["gateway-api"] + " " + channel; len(have) > 0 && (len(have) > 1 || have[0] != want) {
		if !replace {
			return fmt.Errorf("the cluster has the CRDs %s, not %s; --replace removes them first, with all Gateways and routes", strings.Join(have, ", "), want)
		}
		c.Progress("Gateway API CRDs", "removing "+strings.Join(have, ", "))
		for _, ch := range Channels {
			if err := c.kubectl(ctx, spec, "delete", "--ignore-not-found", "--timeout=60s", "-f", filepath.Join(source, ch)); err != nil {
				return err
			}
		}
	}
	c.Progress("Gateway API CRDs", "installing "+channel)
	files, err := filepath.Glob(filepath.Join(source, channel, "gateway.*.yaml"))
	if err != nil {
		return err
	}
	apply, wait := []string{"apply", "--server-side", "--force-conflicts"}, []string{"wait", "--for=condition=Established", "--timeout=60s"}
	for _, f := range files {
		apply = append(apply, "-f", f)
		if !strings.Contains(f, "_vap_") {
			wait = append(wait, "-f", f)
		}
	}
	if err := c.kubectl(ctx, spec, apply...); err != nil {
		return err
	}
	return c.kubectl(ctx, spec, wait...)
}

// crdSource is the directory of the CRDs in the module of Gateway API, which is fetched if need be.
func crdSource(ctx context.Context, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", "sigs.k8s.io/gateway-api@v"+version)
	cmd.Dir, cmd.Env = os.TempDir(), append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	var got struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr == nil && got.Error != "" {
		err = errors.New(got.Error)
	}
	if err != nil {
		return "", fmt.Errorf("fetching Gateway API %s: %w", version, err)
	}
	return filepath.Join(got.Dir, "config", "crd"), nil
}

func (c *Cluster) kubectl(ctx context.Context, spec node.Spec, args ...string) error {
	kubectl, err := Program(spec, "kubectl")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, kubectl, append([]string{"--kubeconfig", c.Layout.Kubeconfig()}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
