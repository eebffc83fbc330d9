package preview

import (
	"errors"
	"fmt"
	"strings"
)

// Mode says where a preview answers.
type Mode string

// Modes.
const (
	// ByHost: at a host of its own.
	ByHost Mode = "host"
	// ByHeader: at production's hosts, for requests with the preview's header.
	ByHeader Mode = "header"
	// Both: by host and by header.
	Both Mode = "both"
)

// Header is the header of requests that are for a preview; its value is the preview's name.
const Header = "x-headgate-preview"

// Rules are what a Sync says about its previews, and which preview it is. Sync, Name, Namespace and, but for ByHeader, Domain are required.
type Rules struct {
	// Sync is the name of the Sync, Name that of the preview among those of the Sync ("pr-42"): DNS labels.
	Sync, Name string
	// Namespace is the preview's own.
	Namespace string
	// Domain is what hosts are below. Host is the pattern of the one label in front of it; "" is DefaultHost.
	Domain, Host string
	// Mode is ByHost where it is empty.
	Mode Mode
	// Gateway is where hosts of previews are served. Zero: at the Gateways of the route that a preview's is made from, at any listener that has the host.
	Gateway Parent
	// SHA is the head's commit.
	SHA string
	// Images are given to the containers of a change, and touch the workloads that have them.
	Images []Image
	// Fork is set for a head that is not of the repository itself.
	Fork *Fork
	// Taken are hosts of other previews, with what they belong to.
	Taken map[string]string
	// Quota is the hard limits of the namespace beside DefaultQuota, or instead.
	Quota map[string]string
	// Proxies are the namespaces that requests come from.
	Proxies []string
	// Local is for a machine without a cluster: there are no pods, so that a Service is copied without, and no namespaces to be made first.
	Local bool
}

// Parent names a Gateway.
type Parent struct{ Namespace, Name, Section string }

// Image is given to every container whose image has a name: NewName instead of the name, NewTag instead of tag and digest. Both may be patterns.
type Image struct{ Name, NewName, NewTag string }

// Fork is what a stranger's head may have.
type Fork struct {
	// Kinds that may change, as "Deployment" or "group/Kind"; nil is ForkKinds.
	Kinds []string
	// Registries that images may come from, as prefixes of whole path segments ("registry.example.com/team-a"). None: no image may.
	Registries []string
}

// ForkKinds is what a fork may change where nothing else is said.
var ForkKinds = []string{"HTTPRoute", "GRPCRoute", "Service", "ConfigMap", "Deployment"}

// DefaultHost is the pattern of a preview's host.
const DefaultHost = "{{.Service}}-{{.Name}}"

// DefaultQuota is what a preview's namespace may use.
var DefaultQuota = map[string]string{
	"pods": "10", "services": "10", "configmaps": "20", "secrets": "20", "persistentvolumeclaims": "2",
	"requests.cpu": "1", "requests.memory": "1Gi", "limits.cpu": "4", "limits.memory": "2Gi", "requests.storage": "5Gi",
	"services.loadbalancers": "0", "services.nodeports": "0",
}

// CheckHost says what is wrong with a pattern for hosts.
func CheckHost(pattern string) error {
	if !strings.Contains(pattern, "{{.Name}}") || !strings.Contains(pattern, "{{.Service}}") {
		return fmt.Errorf("reading the pattern %q: {{.Service}} and {{.Name}} must be in it, else previews share a host", pattern)
	}
	text, err := fill(pattern, map[string]string{"Service": "a", "Name": "a", "Namespace": "a", "Sync": "a"})
	if err != nil {
		return err
	}
	if !isLabel(text) {
		return fmt.Errorf("reading the pattern %q: %q is not one label of a host", pattern, text)
	}
	return nil
}

// CheckImage says what is wrong with the patterns of an image.
func CheckImage(i Image) error {
	for _, pattern := range []string{i.NewName, i.NewTag} {
		if _, err := fill(pattern, map[string]string{"SHA": "", "Name": ""}); err != nil {
			return err
		}
	}
	if i.Name == "" {
		return errors.New("reading an image: it has no name")
	}
	return nil
}

// fill puts values in the place of {{.NAME}}.
func fill(pattern string, values map[string]string) (string, error) {
	var out strings.Builder
	rest := pattern
	for {
		before, after, found := strings.Cut(rest, "{{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, behind, closed := strings.Cut(after, "}}")
		value, known := values[strings.TrimPrefix(strings.TrimSpace(name), ".")]
		if !closed || !known {
			return "", fmt.Errorf("reading the pattern %q: {{%s}} stands for nothing", pattern, name)
		}
		out.WriteString(value)
		rest = behind
	}
}
