package render_test

import (
	"testing"

	"headgate.dev/render"
)

// What is beside each other is built together only where it must be.
func TestSiblingsStayApart(t *testing.T) {
	const overlays = `
-- kustomization.yaml --
resources: [dev, prod, other]
-- base/kustomization.yaml --
resources: [shop.yaml]
-- base/shop.yaml --
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec: {hosts: [shop.example.com], port: 80, gateway: infra/public}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: web, ports: [{name: web, containerPort: 80}]}]}}}
-- dev/kustomization.yaml --
resources: [../base]
namePrefix: dev-
configMapGenerator: [{name: settings, literals: [a=b]}]
-- prod/kustomization.yaml --
resources: [../base]
namePrefix: prod-
configMapGenerator: [{name: settings, literals: [a=c]}]
-- other/kustomization.yaml --
resources: [other.yaml]
`
	for name, test := range map[string]struct {
		other string
		units int
	}{
		"nothing":  {"apiVersion: v1\nkind: Service\nmetadata: {name: other}\n", 3},
		"label":    {"apiVersion: v1\nkind: Service\nmetadata: {name: other, labels: {app: web}}\nspec: {selector: {app: web}, ports: [{name: web, port: 80}]}\n", 3},
		"settings": {"apiVersion: v1\nkind: Pod\nmetadata: {name: other}\nspec: {containers: [{name: c, envFrom: [{configMapRef: {name: settings}}]}]}\n", 1},
		"scale":    {"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: other}\nspec: {scaleTargetRef: {kind: Deployment, name: web}}\n", 1},
		"widget":   {"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: other}\nspec: {name: settings}\n", 3},
		"spec":     {"apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec: {hosts: [a.example.com], port: 80}\n", 3},
		"own":      {"apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: web}\nspec: {hosts: [a.example.com], port: 80}\n", 1},
		"policy": {"apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: p}\n" +
			"spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: shop}], validation: {hostname: a, wellKnownCACertificates: System}}\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := tree(overlays + "-- other/other.yaml --\n" + test.other)
			result, err := render.Tree(f, ".", render.Options{Namespace: "default", Gateway: "infra/public"})
			if err != nil || result.Units != test.units {
				t.Errorf("%d units, want %d: %v", result.Units, test.units, err)
			}
		})
	}
}
