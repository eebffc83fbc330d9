package preview

import (
	"maps"
	"slices"
	"strings"

	"headgate.dev/render/object"
)

// podSpec of a workload, and the pointer to it.
func podSpec(o *object.Object) map[string]any { return mapAt(o.Content, "spec", "template", "spec") }

const podPointer = "/spec/template/spec"

// podLabels are those that Services select by.
func podLabels(o *object.Object) map[string]any {
	return mapAt(o.Content, "spec", "template", "metadata", "labels")
}

// containerLists are where a pod's containers are.
var containerLists = []string{"initContainers", "containers", "ephemeralContainers"}

// containers calls f for each container of a pod. f may write to it when the pod is a copy.
func containers(pod map[string]any, f func(container map[string]any, pointer string)) {
	for _, list := range containerLists {
		for i, c := range listAt(pod, list) {
			if m, ok := c.(map[string]any); ok {
				f(m, podPointer+pointer(list, i))
			}
		}
	}
}

// references gives what a workload's pods name, of its namespace.
func references(o *object.Object) []ref {
	var out []ref
	pod := podSpec(o)
	add := func(kind string, source any, key, where string) {
		if name := textAt(source, key); name != "" {
			optional, _ := at(source, "optional").(bool)
			out = append(out, ref{core(kind, o.ID.Namespace, name), optional, where})
		}
	}
	volume := func(v any, where string) {
		add("ConfigMap", at(v, "configMap"), "name", where)
		add("Secret", at(v, "secret"), "secretName", where)
		add("Secret", at(v, "secret"), "name", where) // in projected volumes
		add("PersistentVolumeClaim", at(v, "persistentVolumeClaim"), "claimName", where)
	}
	for i, v := range listAt(pod, "volumes") {
		where := podPointer + pointer("volumes", i)
		volume(v, where)
		for _, source := range listAt(v, "projected", "sources") {
			volume(source, where)
		}
	}
	containers(pod, func(c map[string]any, where string) {
		for _, e := range listAt(c, "env") {
			add("ConfigMap", at(e, "valueFrom", "configMapKeyRef"), "name", where)
			add("Secret", at(e, "valueFrom", "secretKeyRef"), "name", where)
		}
		for _, e := range listAt(c, "envFrom") {
			add("ConfigMap", at(e, "configMapRef"), "name", where)
			add("Secret", at(e, "secretRef"), "name", where)
		}
	})
	for _, s := range listAt(pod, "imagePullSecrets") { // a node may have credentials of its own
		out = append(out, ref{core("Secret", o.ID.Namespace, textAt(s, "name")), true, podPointer + "/imagePullSecrets"})
	}
	if name := textAt(pod, "serviceAccountName"); name != "" { // else the preview's own
		out = append(out, ref{core("ServiceAccount", o.ID.Namespace, name), true, podPointer + "/serviceAccountName"})
	}
	return out
}

// escape says what of a pod reaches out of its sandbox, and where; "" where nothing does.
func escape(pod map[string]any) (what, where string) {
	for _, key := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		if at(pod, key) == true {
			return key, podPointer + pointer(key)
		}
	}
	for i, v := range listAt(pod, "volumes") {
		if mapAt(v, "hostPath") != nil {
			return "hostPath", podPointer + pointer("volumes", i)
		}
	}
	containers(pod, func(c map[string]any, p string) {
		if at(c, "securityContext", "privileged") == true && what == "" {
			what, where = "privileged", p
		}
		for _, port := range listAt(c, "ports") {
			if at(port, "hostPort") != nil && what == "" {
				what, where = "hostPort", p
			}
		}
	})
	return what, where
}

// splitImage takes an image's reference apart; end is its tag and digest with what stands in front of them.
func splitImage(image string) (name, end string) {
	i := strings.IndexByte(image, '@')
	if i < 0 {
		i = len(image)
	}
	if colon := strings.LastIndexByte(image[:i], ':'); colon > strings.LastIndexByte(image[:i], '/') {
		i = colon
	}
	return image[:i], image[i:]
}

// image gives the image that a container has in the preview.
func (r *Rules) image(image string) string {
	name, end := splitImage(image)
	values := map[string]string{"SHA": r.SHA, "Name": r.Name}
	for _, i := range r.Images {
		if i.Name != name {
			continue
		}
		if n, err := fill(i.NewName, values); err == nil && n != "" {
			name = n
		}
		if t, err := fill(i.NewTag, values); err == nil && t != "" {
			end = ":" + t
		}
		break
	}
	return name + end
}

// retagged tells whether the rules give one of a workload's containers another image.
func (r *Rules) retagged(o *object.Object) (yes bool) {
	if len(r.Images) == 0 {
		return false
	}
	containers(podSpec(o), func(c map[string]any, _ string) {
		image := textAt(c, "image")
		yes = yes || r.image(image) != image
	})
	return yes
}

// selects tells whether a Service's selector fits labels.
func selects(service *object.Object, labels map[string]any) bool {
	selector := mapAt(service.Content, "spec", "selector")
	for key, want := range selector {
		if labels[key] != want {
			return false
		}
	}
	return len(selector) > 0
}

func sortedIDs[V any](m map[object.ID]V) []object.ID {
	return slices.SortedFunc(maps.Keys(m), object.Compare)
}
