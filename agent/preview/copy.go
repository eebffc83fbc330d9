package preview

import (
	"strings"

	"headgate.dev/render/object"
)

// account is the name of the service account of pods that name none.
const account = "preview"

// copies puts what moves into the preview's namespace.
func (p *planner) copies() {
	for _, id := range sortedIDs(p.moved) {
		o := p.moved[id]
		content := object.CloneMap(o.Content)
		metadata := map[string]any{"name": id.Name, "namespace": p.rules.Namespace, "labels": p.labels(mapAt(content, "metadata", "labels"))}
		switch {
		case roleOf(id) == workload:
			keepAnnotations(metadata, mapAt(content, "metadata", "annotations"))
			p.workload(mapAt(content, "spec"), id.Namespace)
		case id.Group == gatewayAPI:
			mapAt(content, "spec")["targetRefs"] = object.Clone(p.targets(o))
		case id.Kind == "Service":
			p.service(mapAt(content, "spec"))
		case id.Kind == "ServiceAccount":
			content = map[string]any{"apiVersion": "v1", "kind": id.Kind, "automountServiceAccountToken": false} // whatever its annotations grant is production's
		case id.Kind == "PersistentVolumeClaim":
			delete(mapAt(content, "spec"), "volumeName") // production's
		}
		content["metadata"] = metadata
		delete(content, "status")
		p.add(o, content)
	}
}

// keepAnnotations takes over what is not somebody's bookkeeping.
func keepAnnotations(metadata, from map[string]any) {
	out := map[string]any{}
	for key, value := range from {
		if !strings.HasPrefix(key, "headgate.dev/") && !strings.HasPrefix(key, "kubectl.kubernetes.io/") {
			out[key] = value
		}
	}
	if len(out) > 0 {
		metadata["annotations"] = out
	}
}

// workload makes a copied workload small and harmless: one pod, without a token for the API server, with the images of the preview.
func (p *planner) workload(spec map[string]any, namespace string) {
	spec["replicas"] = int64(1)
	template := mapAt(spec, "template")
	metadata := mapAt(template, "metadata")
	if metadata == nil {
		metadata = map[string]any{}
		template["metadata"] = metadata
	}
	metadata["labels"] = p.labels(mapAt(metadata, "labels"))
	pod := mapAt(template, "spec")
	pod["automountServiceAccountToken"] = false
	name := textAt(pod, "serviceAccountName")
	if p.moved[core("ServiceAccount", namespace, name)] == nil {
		pod["serviceAccountName"] = account
	}
	delete(pod, "serviceAccount")
	delete(pod, "nodeName")
	delete(pod, "priorityClassName")
	containers(pod, func(c map[string]any, _ string) {
		if image := textAt(c, "image"); image != "" {
			c["image"] = p.rules.image(image)
		}
	})
}

// service makes a copied Service one of the inside.
func (p *planner) service(spec map[string]any) {
	for _, key := range []string{
		"clusterIPs", "externalIPs", "externalName", "externalTrafficPolicy", "healthCheckNodePort", "loadBalancerClass", "loadBalancerIP",
		"loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "sessionAffinityConfig",
	} {
		delete(spec, key)
	}
	if textAt(spec, "clusterIP") != "None" {
		delete(spec, "clusterIP")
	}
	delete(spec, "type")
	for _, port := range listAt(spec, "ports") {
		if m, ok := port.(map[string]any); ok {
			delete(m, "nodePort")
		}
	}
}
