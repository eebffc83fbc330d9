package main

import (
	"crypto/tls"
	"testing"
)

// TestUpEndsTLSForStreams: a TLS listener ends TLS, and the backend speaks first inside.
func TestUpEndsTLSForStreams(t *testing.T) {
	const route = `---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: db}
spec:
  parentRefs: [{name: edge, sectionName: tls}]
  hostnames: [db.test]
  rules: [{backendRefs: [{name: db, port: 5432}]}]
`
	p := startProtocols(t, ends+route, 443, 5432)
	conn, err := tls.Dial("tcp", p.address(5432), &tls.Config{RootCAs: p.roots(), ServerName: "db.test"})
	must(t, err)
	echoes(t, conn, "default/db:5432")
	must(t, p.up.Stop())
}
