package kustomize

import (
	"strings"
	"testing"

	"headgate.dev/render/object"
)

// references is a tree with every reference of Gateway API and of specs, under a prefix, a suffix and hashes.
const references = `
-- kustomization.yaml --
namePrefix: a-
nameSuffix: -z
resources: [targets.yaml, routes.yaml, gateways.yaml, policies.yaml, specs.yaml]
configMapGenerator:
- {name: ca, literals: [ca.crt=x]}
- {name: ca-old, literals: [ca.crt=y], options: {disableNameSuffixHash: true}}
secretGenerator:
- {name: cert, literals: [tls.crt=x]}
-- targets.yaml --
apiVersion: v1
kind: Service
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: next}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: far}
---
apiVersion: headgate.dev/v1alpha1
kind: ProxyConfig
metadata: {name: large}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: own}
spec: {controllerName: example.com/x, parametersRef: {group: headgate.dev, kind: ProxyConfig, name: large}}
-- routes.yaml --
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: http}
spec:
  parentRefs: [{name: edge}, {name: more, kind: ListenerSet}, {name: shop, kind: Service, group: ""}, {name: offered}, {name: edge, namespace: infra}]
  rules:
  - backendRefs:
    - {name: shop, filters: [{type: RequestMirror, requestMirror: {backendRef: {name: next}}}]}
    - {name: shop, namespace: far}
    - {name: shop, namespace: foreign}
    - {name: shop, kind: Widget, group: example.com}
    - {name: shop, kind: Bucket, group: example.com}
    - {name: unknown}
    filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: shop}}}
    - {type: ExtensionRef, extensionRef: {group: example.com, kind: Widget, name: shop}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: shop}], filters: [{requestMirror: {backendRef: {name: next}}}]}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: tcp}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: shop}]}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: UDPRoute
metadata: {name: udp}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: shop}]}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha3
kind: TLSRoute
metadata: {name: tls}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: shop}]}]}
-- gateways.yaml --
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: own
  infrastructure: {parametersRef: {group: headgate.dev, kind: ProxyConfig, name: large}}
  tls:
    backend: {clientCertificateRef: {name: cert}}
    frontend:
      default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}}
      perPort: [{port: 443, tls: {validation: {caCertificateRefs: [{group: "", kind: Secret, name: cert}]}}}]
  listeners: [{name: https, tls: {certificateRefs: [{name: cert}, {name: cert, namespace: far}]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more}
spec: {parentRef: {name: edge}, listeners: [{name: https, tls: {certificateRefs: [{name: cert}]}}]}
-- policies.yaml --
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls}
spec:
  targetRefs: [{group: "", kind: Service, name: shop}]
  validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}, {group: "", kind: ConfigMap, name: ca-old}]}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: grant}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: far}], to: [{group: "", kind: Service, name: shop}, {group: "", kind: Secret}]}
-- specs.yaml --
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec:
  gateway: [offered, "edge#https", "infra/edge#443", "#https"]
  routes:
  - to: next:80
    mirror: [{to: {service: next, port: 80}}, {to: shop:80}]
  - to: {next:80: 1, far/shop:80: 2, foreign/shop:80: 3}
  - to: [{service: shop, namespace: far, port: 80}, next]
  grpc: [{method: a.B/*, to: shop, mirror: [{to: next}]}]
  tcp: [{port: 1, to: next:1}]
  udp: [{port: 2, to: {next:1: 1}}]
  tls: [{hosts: [a.example.com], to: [next]}]
  backendTLS: {hostname: a, ca: ca}
---
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: elsewhere}
spec: {service: next, backendTLS: {ca: system}}
---
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: outside}
spec: {backendTLS: {ca: {configMap: ca-old}}}
---
apiVersion: headgate.dev/v1alpha1
kind: GatewaySpec
metadata: {name: offered}
spec:
  class: own
  tls: {a.example.com: cert, b.example.com: far/cert}
  hosts: [a.example.com, {host: b.example.com, tls: cert}]
  ports: [{port: 443, protocol: TLS, tls: cert}, {port: 8443, hosts: [c.example.com, {host: d.example.com, tls: [cert, far/cert]}]}]
  clientAuth: {ca: ca}
  clientCertificate: cert
  infrastructure: {parameters: large}
---
apiVersion: headgate.dev/v1alpha1
kind: GatewaySpec
metadata: {name: strict}
spec:
  clientAuth: [{ca: [ca, far/ca, ca-old]}, {ca: system, ports: [8443]}]
  clientCertificate: far/cert
`

func TestEveryReferenceFollows(t *testing.T) {
	nodes, err := build(t, archive(references), ".")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range nodes {
		if spec := n.Get("/spec"); spec != nil {
			got[textAt(n, "/kind")+" "+textAt(n, "/metadata/name")] = string(object.AppendJSON(nil, spec.Value()))
		}
	}
	const ca, cert = "a-ca-z-f7b58gkh66", "a-cert-z-d7hkh8hfg6"
	for name, want := range map[string]string{
		"GatewayClass a-own-z": `{"controllerName":"example.com/x","parametersRef":{"group":"headgate.dev","kind":"ProxyConfig","name":"a-large-z"}}`,
		"HTTPRoute a-http-z": `{"parentRefs":[{"name":"a-edge-z"},{"kind":"ListenerSet","name":"a-more-z"},{"group":"","kind":"Service","name":"a-shop-z"},` +
			`{"name":"a-offered-z"},{"name":"edge","namespace":"infra"}],"rules":[{"backendRefs":[` +
			`{"filters":[{"requestMirror":{"backendRef":{"name":"a-next-z"}},"type":"RequestMirror"}],"name":"a-shop-z"},` +
			`{"name":"a-shop-z","namespace":"far"},{"name":"shop","namespace":"foreign"},{"group":"example.com","kind":"Widget","name":"a-shop-z"},` +
			`{"group":"example.com","kind":"Bucket","name":"shop"},{"name":"unknown"}],` +
			`"filters":[{"requestMirror":{"backendRef":{"name":"a-shop-z"}},"type":"RequestMirror"},` +
			`{"extensionRef":{"group":"example.com","kind":"Widget","name":"a-shop-z"},"type":"ExtensionRef"}]}]}`,
		"GRPCRoute a-grpc-z": `{"parentRefs":[{"name":"a-edge-z"}],"rules":[{"backendRefs":[{"name":"a-shop-z"}],"filters":[{"requestMirror":{"backendRef":{"name":"a-next-z"}}}]}]}`,
		"TCPRoute a-tcp-z":   `{"parentRefs":[{"name":"a-edge-z"}],"rules":[{"backendRefs":[{"name":"a-shop-z"}]}]}`,
		"UDPRoute a-udp-z":   `{"parentRefs":[{"name":"a-edge-z"}],"rules":[{"backendRefs":[{"name":"a-shop-z"}]}]}`,
		"TLSRoute a-tls-z":   `{"parentRefs":[{"name":"a-edge-z"}],"rules":[{"backendRefs":[{"name":"a-shop-z"}]}]}`,
		"Gateway a-edge-z": `{"gatewayClassName":"a-own-z","infrastructure":{"parametersRef":{"group":"headgate.dev","kind":"ProxyConfig","name":"a-large-z"}},` +
			`"listeners":[{"name":"https","tls":{"certificateRefs":[{"name":"CERT"},{"name":"cert","namespace":"far"}]}}],` +
			`"tls":{"backend":{"clientCertificateRef":{"name":"CERT"}},"frontend":{"default":{"validation":{"caCertificateRefs":[` +
			`{"group":"","kind":"ConfigMap","name":"CA"}]}},"perPort":[{"port":443,"tls":{"validation":{"caCertificateRefs":[{"group":"","kind":"Secret","name":"CERT"}]}}}]}}}`,
		"ListenerSet a-more-z":     `{"listeners":[{"name":"https","tls":{"certificateRefs":[{"name":"CERT"}]}}],"parentRef":{"name":"a-edge-z"}}`,
		"BackendTLSPolicy a-tls-z": `{"targetRefs":[{"group":"","kind":"Service","name":"a-shop-z"}],"validation":{"caCertificateRefs":[{"group":"","kind":"ConfigMap","name":"CA"},{"group":"","kind":"ConfigMap","name":"a-ca-old-z"}]}}`,
		"ReferenceGrant a-grant-z": `{"from":[{"group":"gateway.networking.k8s.io","kind":"HTTPRoute","namespace":"far"}],"to":[{"group":"","kind":"Service","name":"a-shop-z"},{"group":"","kind":"Secret"}]}`,
		"ServiceSpec a-shop-z": `{"backendTLS":{"ca":"CA","hostname":"a"},"gateway":["a-offered-z","a-edge-z#https","infra/edge#443","#https"],` +
			`"grpc":[{"method":"a.B/*","mirror":[{"to":"a-next-z"}],"to":"a-shop-z"}],` +
			`"routes":[{"mirror":[{"to":{"port":80,"service":"a-next-z"}},{"to":"a-shop-z:80"}],"to":"a-next-z:80"},` +
			`{"to":{"a-next-z:80":1,"far/a-shop-z:80":2,"foreign/shop:80":3}},{"to":[{"namespace":"far","port":80,"service":"a-shop-z"},"a-next-z"]}],` +
			`"tcp":[{"port":1,"to":"a-next-z:1"}],"tls":[{"hosts":["a.example.com"],"to":["a-next-z"]}],"udp":[{"port":2,"to":{"a-next-z:1":1}}]}`,
		"ServiceSpec a-elsewhere-z": `{"backendTLS":{"ca":"system"},"service":"a-next-z"}`,
		"ServiceSpec a-outside-z":   `{"backendTLS":{"ca":{"configMap":"a-ca-old-z"}},"service":"outside"}`,
		"GatewaySpec a-offered-z": `{"class":"a-own-z","clientAuth":{"ca":"CA"},"clientCertificate":"CERT","hosts":["a.example.com",{"host":"b.example.com","tls":"CERT"}],` +
			`"infrastructure":{"parameters":"a-large-z"},"ports":[{"port":443,"protocol":"TLS","tls":"CERT"},` +
			`{"hosts":["c.example.com",{"host":"d.example.com","tls":["CERT","far/cert"]}],"port":8443}],"tls":{"a.example.com":"CERT","b.example.com":"far/cert"}}`,
		"GatewaySpec a-strict-z": `{"clientAuth":[{"ca":["CA","far/ca","a-ca-old-z"]},{"ca":"system","ports":[8443]}],"clientCertificate":"far/cert"}`,
	} {
		want = strings.NewReplacer(`"CA"`, `"`+ca+`"`, `"CERT"`, `"`+cert+`"`).Replace(want)
		if got[name] != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got[name], want)
		}
	}
}

// Overlays of one base beside each other under one more prefix: every reference leads to the neighbour, also one that is
// written as the inner overlay named it.
func TestReferencesInSeveralOverlays(t *testing.T) {
	nodes, err := build(t, archive(`
-- base/kustomization.yaml --
resources: [all.yaml]
-- base/all.yaml --
apiVersion: v1
kind: Service
metadata: {name: shop}
---
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec: {gateway: edge, routes: [{to: shop:80}]}
---
apiVersion: headgate.dev/v1alpha1
kind: GatewaySpec
metadata: {name: edge}
spec: {tls: cert}
-- blue/kustomization.yaml --
resources: [../base]
namePrefix: blue-
secretGenerator: [{name: cert, literals: [a=b]}]
-- green/kustomization.yaml --
resources: [../base]
nameSuffix: -green
secretGenerator: [{name: cert, literals: [a=c]}]
-- kustomization.yaml --
resources: [blue, green, more.yaml]
namePrefix: x-
-- more.yaml --
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: more}
spec: {gateway: blue-edge, service: shop-green, routes: [{to: blue-shop:80}, {to: shop:80}]}
`), ".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range nodes {
		if strings.HasSuffix(textAt(n, "/kind"), "Spec") {
			got = append(got, textAt(n, "/metadata/name")+" "+string(object.AppendJSON(nil, n.Get("/spec").Value())))
		}
	}
	want := []string{
		`x-blue-shop {"gateway":"x-blue-edge","routes":[{"to":"x-blue-shop:80"}]}`,
		`x-blue-edge {"tls":"x-blue-cert-k695gkmbtk"}`,
		`x-shop-green {"gateway":"x-edge-green","routes":[{"to":"x-shop-green:80"}]}`,
		`x-edge-green {"tls":"x-cert-green-f9m77dtd4d"}`,
		`x-more {"gateway":"x-blue-edge","routes":[{"to":"x-blue-shop:80"},{"to":"shop:80"}],"service":"x-shop-green"}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestLossyPatches: a merge patch of a list of a spec is refused; a map in its place is merged.
func TestLossyPatches(t *testing.T) {
	const base = "-- kustomization.yaml --\nresources: [gateway.yaml]\npatches: [{path: patch.yaml}]\n" +
		"-- gateway.yaml --\napiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: edge}\nspec: {hosts: [a.example.com], tls: cert}\n" +
		"-- patch.yaml --\napiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: edge}\nspec: "
	for patch, field := range map[string]string{
		"{hosts: [b.example.com]}": "spec.hosts", "{clientAuth: [{ca: ca}]}": "spec.clientAuth", "{ports: [{port: 81}]}": "spec.ports",
		"{clientAuth: {ca: ca}}": "", "{redirect: false}": "",
	} {
		_, err := build(t, archive(base+patch+"\n"), ".")
		if field == "" && err != nil || field != "" && (err == nil || !strings.Contains(err.Error(), "patch.yaml:4:") || !strings.Contains(err.Error(), field+": a merge patch replaces")) {
			t.Errorf("%s: %v", patch, err)
		}
	}
}
