package cluster

import (
	"context"
	_ "embed"
	"errors"
	"strings"

	"headgate.dev/deploy/testcluster/internal/kube"
	"headgate.dev/deploy/testcluster/internal/network"
	"headgate.dev/deploy/testcluster/internal/node"
)

//go:embed dns.yaml
var dnsManifest string

// manifest is an object and where it is applied.
type manifest struct{ path, text string }

// manifests splits a file whose objects have their path in a comment each.
func manifests(file string) []manifest {
	var all []manifest
	for _, text := range strings.Split(file, "---\n") {
		for line := range strings.Lines(text) {
			if path, ok := strings.CutPrefix(strings.TrimSpace(line), "# /"); ok {
				all = append(all, manifest{"/" + path, text})
			}
		}
	}
	return all
}

func applyDNS(ctx context.Context, api *kube.Client, p network.Plan, image string) error {
	filled := strings.NewReplacer("IMAGE", image, "ADDRESS", p.DNS.String()).Replace(dnsManifest)
	for _, m := range manifests(filled) {
		if err := api.Patch(ctx, m.path+"?fieldManager=testcluster&force=true", kube.Apply, m.text); err != nil {
			return err
		}
	}
	return nil
}

func nodeReady(ctx context.Context, api *kube.Client) error {
	var n struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := api.Get(ctx, "/api/v1/nodes/"+node.Name, &n); err != nil {
		return err
	}
	for _, c := range n.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			return nil
		} else if c.Type == "Ready" {
			return errors.New(c.Message)
		}
	}
	return errors.New("the node has no Ready condition yet")
}

func dnsReady(ctx context.Context, api *kube.Client) error {
	var d struct {
		Status struct{ AvailableReplicas int }
	}
	if err := api.Get(ctx, "/apis/apps/v1/namespaces/kube-system/deployments/coredns", &d); err != nil {
		return err
	}
	if d.Status.AvailableReplicas < 1 {
		return errors.New("no CoreDNS pod is available; see `testcluster kubectl -n kube-system describe pods`")
	}
	return nil
}
