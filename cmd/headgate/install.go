package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"headgate.dev/deploy"
	"headgate.dev/render"
	"headgate.dev/render/object"
)

// installNamespace is the namespace of the manifests as they are.
const installNamespace = "headgate-system"

// installFlags are the flags of `headgate install`; an empty one leaves the manifests as they are.
type installFlags struct {
	namespace, image string
	replicas         int
	gatewayAPI       bool
}

func installCommand(s streams) *cobra.Command {
	f := installFlags{replicas: -1}
	output := "yaml"
	c := &cobra.Command{
		Use:   "install",
		Short: "Print what is to be applied to have headgate in a cluster",
		Long: `Print the manifests of the controller, the same as deploy/default and the Helm chart: namespace, custom
resources, roles, Deployment, Service, network policies and the GatewayClass headgate. Nothing is applied.

Gateway API's own custom resources are not among them, since most clusters have somebody who manages
them; --gateway-api prints them instead (standard channel). Create them, so that nothing is changed that
is there already, and least of all made older.

To upgrade, apply what the new version prints. To uninstall, delete the Gateways of the class, whose
fleets go with them, and then delete what this prints. Nothing has a finalizer, so nothing hangs.
Deleting the custom resource ProxyConfig deletes every ProxyConfig, too.`,
		Example: `  headgate install --gateway-api | kubectl create -f -
  headgate install | kubectl apply -f -
  headgate install --namespace edge --replicas 3 \
    --image registry.example.com/headgate:v1.2.0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(f.check(cmd.Flags().Changed("replicas")), oneOf("output", output, "yaml", "json")); err != nil {
				return usageError{err}
			}
			objects, err := f.objects()
			if err != nil {
				return err
			}
			write := object.WriteYAML
			if output == "json" {
				write = object.WriteJSON
			}
			return write(s.out, slices.Values(objects), object.PrintOptions{Secrets: true})
		},
	}
	c.Flags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of the controller (default "+installNamespace+")")
	c.Flags().StringVar(&f.image, "image", "", "image of the controller, and by that of the fleets")
	c.Flags().IntVar(&f.replicas, "replicas", f.replicas, "replicas of the controller (default 2)")
	c.Flags().Lookup("replicas").DefValue = "0" // so that the help does not show it
	c.Flags().BoolVar(&f.gatewayAPI, "gateway-api", false, "print Gateway API's custom resources instead")
	c.Flags().StringVarP(&output, "output", "o", output, "yaml or json (one object per line)")
	mustComplete(c, "output", "yaml", "json")
	return c
}

var (
	namespaceName  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	imageReference = regexp.MustCompile(`^[a-z0-9][a-zA-Z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$`)
)

// check finds what is wrong with the flags.
func (f *installFlags) check(replicas bool) error {
	switch {
	case f.namespace != "" && !namespaceName.MatchString(f.namespace):
		return fmt.Errorf("--namespace %q: expected the name of a namespace", f.namespace)
	case f.image != "" && !imageReference.MatchString(f.image):
		return fmt.Errorf("--image %q: expected an image with its tag or digest", f.image)
	case replicas && f.replicas < 0:
		return fmt.Errorf("--replicas %d: expected 0 or more", f.replicas)
	case f.gatewayAPI && (f.namespace != "" || f.image != "" || replicas):
		return errors.New("--gateway-api: its custom resources have neither namespace nor image nor replicas")
	}
	return nil
}

// objects gives the manifests in the order in which they can be applied: a namespace is the first kind of all by name.
func (f *installFlags) objects() ([]*object.Object, error) {
	dir := "default"
	if f.gatewayAPI {
		dir = "gateway-api"
	}
	result, err := render.Tree(deploy.Files, dir, render.Options{})
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", dir, err)
	}
	var out []*object.Object
	for o := range result.Set.All() {
		content := object.CloneMap(o.Content)
		f.edit(content)
		changed, err := object.New(content, o.Origin, nil)
		if err != nil {
			return nil, fmt.Errorf("changing %s: %w", o.ID, err)
		}
		out = append(out, changed)
	}
	return out, nil
}

// edit puts the flags into one object.
func (f *installFlags) edit(content map[string]any) {
	if f.namespace != "" {
		f.move(content)
	}
	spec, _ := content["spec"].(map[string]any)
	if content["kind"] != "Deployment" || spec == nil {
		return
	}
	if f.replicas >= 0 {
		spec["replicas"] = int64(f.replicas)
	}
	if f.image == "" {
		return
	}
	containers, _ := at(spec, "template", "spec")["containers"].([]any)
	for _, c := range containers {
		if c, ok := c.(map[string]any); ok {
			c["image"] = f.image
		}
	}
}

// move puts an object, and whom its roles are bound to, into the namespace.
func (f *installFlags) move(content map[string]any) {
	metadata := at(content, "metadata")
	if content["kind"] == "Namespace" {
		metadata["name"] = f.namespace
	}
	if metadata["namespace"] == installNamespace {
		metadata["namespace"] = f.namespace
	}
	subjects, _ := content["subjects"].([]any)
	for _, s := range subjects {
		if s, ok := s.(map[string]any); ok && s["namespace"] == installNamespace {
			s["namespace"] = f.namespace
		}
	}
}

// at gives the object at a path of keys; an empty one where there is none.
func at(o map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		next, _ := o[key].(map[string]any)
		if next == nil {
			return map[string]any{}
		}
		o = next
	}
	return o
}
