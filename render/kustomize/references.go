package kustomize

// nameReferences tells kustomize which fields of Gateway API objects and of specs hold names, so that they follow a
// prefix, a suffix or a hash. A path can only lead to a field that is always text: kustomize fails on any other, which
// is why routes[].to of a ServiceSpec is not among them; names.follow takes care of those, and of references with a
// namespace of their own, which kustomize looks for in the object's.
var nameReferences = []byte(`
nameReference:
- kind: Service
  version: v1
  fieldSpecs:
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, path: spec/rules/backendRefs/name}
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, path: spec/rules/filters/requestMirror/backendRef/name}
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, path: spec/rules/backendRefs/filters/requestMirror/backendRef/name}
  - {group: gateway.networking.k8s.io, kind: GRPCRoute, path: spec/rules/backendRefs/name}
  - {group: gateway.networking.k8s.io, kind: GRPCRoute, path: spec/rules/filters/requestMirror/backendRef/name}
  - {group: gateway.networking.k8s.io, kind: GRPCRoute, path: spec/rules/backendRefs/filters/requestMirror/backendRef/name}
  - {group: gateway.networking.k8s.io, kind: TCPRoute, path: spec/rules/backendRefs/name}
  - {group: gateway.networking.k8s.io, kind: UDPRoute, path: spec/rules/backendRefs/name}
  - {group: gateway.networking.k8s.io, kind: TLSRoute, path: spec/rules/backendRefs/name}
  - {group: gateway.networking.k8s.io, kind: BackendTLSPolicy, path: spec/targetRefs/name}
  - {group: gateway.networking.k8s.io, kind: ReferenceGrant, path: spec/to/name}
  - {group: headgate.dev, kind: ServiceSpec, path: spec/service}
- kind: Gateway
  group: gateway.networking.k8s.io
  fieldSpecs:
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, path: spec/parentRefs/name}
  - {group: gateway.networking.k8s.io, kind: GRPCRoute, path: spec/parentRefs/name}
  - {group: gateway.networking.k8s.io, kind: TCPRoute, path: spec/parentRefs/name}
  - {group: gateway.networking.k8s.io, kind: UDPRoute, path: spec/parentRefs/name}
  - {group: gateway.networking.k8s.io, kind: TLSRoute, path: spec/parentRefs/name}
  - {group: gateway.networking.k8s.io, kind: ListenerSet, path: spec/parentRef/name}
- kind: GatewayClass
  group: gateway.networking.k8s.io
  fieldSpecs:
  - {group: gateway.networking.k8s.io, kind: Gateway, path: spec/gatewayClassName}
  - {group: headgate.dev, kind: GatewaySpec, path: spec/class}
- kind: Secret
  version: v1
  fieldSpecs:
  - {group: gateway.networking.k8s.io, kind: Gateway, path: spec/listeners/tls/certificateRefs/name}
  - {group: gateway.networking.k8s.io, kind: ListenerSet, path: spec/listeners/tls/certificateRefs/name}
- kind: ConfigMap
  version: v1
  fieldSpecs:
  - {group: gateway.networking.k8s.io, kind: BackendTLSPolicy, path: spec/validation/caCertificateRefs/name}
`)
