package render_test

import (
	"strings"
	"testing"

	"headgate.dev/render"
)

const manifests = `
-- gateway.yaml --
apiVersion: headgate.dev/v1alpha1
kind: GatewaySpec
metadata: {name: public, annotations: {a: b}}
spec: {hosts: ["*.example.com"], default: true}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: own}
spec: {controllerName: example.com/x}
-- shop/kustomization.yaml --
resources: [shop.yaml, sub]
labels:
- pairs: {inner: shop, env: inner}
-- shop/shop.yaml --
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop, namespace: written, labels: {env: none, kept: "yes"}}
spec: {hosts: [shop.example.com], port: 8080}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: raw, namespace: written}
spec:
  parentRefs: [{name: public}, {name: far, namespace: written}]
  rules: [{backendRefs: [{name: shop, port: 80}, {name: shop, namespace: written, port: 80}]}]
-- shop/sub/kustomization.yaml --
namespace: inner
resources: [all.yaml]
-- shop/sub/all.yaml --
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: shop}], serviceAccountName: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: shop}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick}
spec: {jobTemplate: {spec: {template: {spec: {containers: []}}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec: {selector: {matchLabels: {app: db}}, volumeClaimTemplates: [{metadata: {name: v}}], template: {metadata: {}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: space}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: role}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: n}
spec: {podSelector: {matchLabels: {a: b}}}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w, labels: null}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.example.com}
spec: {service: {name: shop, namespace: old}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec: {group: example.com, names: {kind: Widget}, scope: Namespaced, conversion: {webhook: {clientConfig: {service: {name: shop, namespace: old}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: local, annotations: {config.kubernetes.io/local-config: "true"}}
`

const binding = `
-- rbac.yaml --
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}
subjects:
- {kind: ServiceAccount, name: default, namespace: x}
- {kind: ServiceAccount, name: shop, namespace: inner}
`

const hashed = `
-- hash.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, annotations: {kustomize.config.k8s.io/needs-hash: "true"}}
data: {a: b}
`

// TestPushDownEqualsKustomize renders overlays once as they are and once with a field that changes nothing but makes
// kustomize itself build the whole.
func TestPushDownEqualsKustomize(t *testing.T) {
	for name, overlay := range map[string]string{
		"nothing":     "",
		"namespace":   "namespace: outer\n",
		"labels":      "labels:\n- pairs: {env: outer, \"n\": \"1\"}\n- pairs: {env: second}\n",
		"templates":   "labels:\n- {pairs: {env: outer}, includeTemplates: true}\n",
		"claims":      "labels:\n- {pairs: {env: outer}, includeVolumeClaimTemplates: true}\n",
		"selectors":   "labels:\n- {pairs: {env: outer}, includeSelectors: true}\n",
		"common":      "commonLabels: {env: outer}\n",
		"annotations": "commonAnnotations: {a: outer, c: d}\n",
		"all":         "namespace: outer\nlabels:\n- pairs: {env: outer}\ncommonAnnotations: {a: outer}\ncommonLabels: {x: y}\n",
	} {
		for extra, text := range map[string]string{"": "", "binding": binding, "hashed": hashed} {
			t.Run(name+extra, func(t *testing.T) {
				root := "resources: [gateway.yaml, shop"
				if file, _, ok := strings.Cut(strings.TrimPrefix(text, "\n-- "), " "); ok {
					root += ", " + file
				}
				root += "]\n" + overlay
				f := tree(manifests + text)
				f.change("kustomization.yaml", root)
				options := render.Options{Namespace: "default"}
				pushed, err := render.Tree(f, ".", options)
				if err != nil {
					t.Fatal(err)
				}
				f.change("kustomization.yaml", root+"images: [{name: no-such-image, newTag: x}]\n")
				whole, err := render.Tree(f, ".", options)
				if err != nil {
					t.Fatal(err)
				}
				if extra == "" && pushed.Units < 3 || whole.Units != 1 {
					t.Errorf("%d units and %d", pushed.Units, whole.Units)
				}
				for o := range whole.Set.All() {
					p := pushed.Set.Get(o.ID)
					switch {
					case p == nil:
						t.Errorf("%s is missing", o.ID)
					case p.Digest != o.Digest:
						t.Errorf("%s:\npushed down %v\nkustomize   %v", o.ID, p.Content, o.Content)
					case p.Origin != o.Origin:
						t.Errorf("%s: pushed down from %s, kustomize %s", o.ID, p.Origin, o.Origin)
					}
				}
				if pushed.Set.Len() != whole.Set.Len() {
					t.Errorf("%d objects, kustomize gives %d", pushed.Set.Len(), whole.Set.Len())
				}
			})
		}
	}
}
