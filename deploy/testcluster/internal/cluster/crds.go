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
	"headgate.dev/deploy/testcluster/internal/network"
	"headgate.dev/deploy/testcluster/internal/node"
	"headgate.dev/deploy/testcluster/internal/pin"
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

// CRDOptions say how CRDs are installed.
type CRDOptions struct {
	// Replace removes the CRDs of another channel or version first, with all their objects; otherwise they are in the way.
	Replace bool
}

// CRDs installs the Gateway API CRDs of the channel.
func (c *Cluster) CRDs(ctx context.Context, channel string, o CRDOptions) error {
	if !slices.Contains(Channels, channel) {
		return fmt.Errorf("channel %q: only %s exist", channel, strings.Join(Channels, " and "))
	}
	spec, _, err := c.Running()
	if err != nil {
		return err
	}
	c.Progress("Gateway API CRDs", "fetching "+c.Versions["gateway-api"])
	source, err := crdSource(ctx, c.Versions)
	if err != nil {
		return err
	}
	if err := c.makeRoom(ctx, spec, channel, source, o); err != nil {
		return err
	}
	c.Progress("Gateway API CRDs", "installing "+channel)
	if err := c.onFiles(ctx, spec, filepath.Join(source, channel), "apply", "--server-side", "--force-conflicts"); err != nil {
		return err
	}
	return c.kubectl(ctx, spec, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
}

// makeRoom removes the CRDs of another channel or version, or says that they are in the way.
func (c *Cluster) makeRoom(ctx context.Context, spec node.Spec, channel, source string, o CRDOptions) error {
	p, err := network.New(spec.Slot)
	if err != nil {
		return err
	}
	api, err := kube.New(node.Server(p), c.Layout.PKI())
	if err != nil {
		return err
	}
	have, err := installed(ctx, api)
	if err != nil {
		return err
	}
	want := c.Versions["gateway-api"] + " " + channel
	if len(have) == 0 || len(have) == 1 && have[0] == want {
		return nil
	}
	if !o.Replace {
		return fmt.Errorf("the cluster has the CRDs %s, not %s; --replace removes them first, with all Gateways and routes", strings.Join(have, ", "), want)
	}
	c.Progress("Gateway API CRDs", "removing "+strings.Join(have, ", "))
	for _, ch := range Channels {
		if err := c.onFiles(ctx, spec, filepath.Join(source, ch), "delete", "--ignore-not-found", "--timeout=60s"); err != nil {
			return err
		}
	}
	return nil
}

// onFiles runs kubectl on the manifests of a channel's directory, which also holds files that are none.
func (c *Cluster) onFiles(ctx context.Context, spec node.Spec, dir string, args ...string) error {
	files, err := filepath.Glob(filepath.Join(dir, "gateway.*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no CRDs in %s", dir)
	}
	for _, f := range files {
		args = append(args, "-f", f)
	}
	return c.kubectl(ctx, spec, args...)
}

// crdSource is the directory of the CRDs in the module of Gateway API, which is fetched if need be.
func crdSource(ctx context.Context, v pin.Versions) (string, error) {
	cmd := v.Go(ctx, os.TempDir(), "mod", "download", "-json", "sigs.k8s.io/gateway-api@v"+v["gateway-api"])
	out, err := cmd.Output()
	var got struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr == nil && got.Error != "" {
		err = errors.New(got.Error)
	}
	if err != nil {
		return "", fmt.Errorf("fetching Gateway API %s: %w", v["gateway-api"], err)
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
