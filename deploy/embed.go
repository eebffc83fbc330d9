// Package deploy is what is installed in a cluster: kustomize bases, Gateway API's custom resources, and a Helm chart with the
// same objects.
//
// crds, rbac, controller and class are the parts, default is all of them in their namespace. gateway-api is apart, as most
// clusters have somebody who manages Gateway API's custom resources.
package deploy

import "embed"

//go:generate ./generate

// Files are the kustomize bases, by their paths in this directory: "default" and "gateway-api" are what to build.
//
//go:embed class controller crds default gateway-api rbac chart/crds
var Files embed.FS
