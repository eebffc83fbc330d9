package main

import (
	"strings"
	"testing"

	"headgate.dev/cmd/internal/local"
)

// TestExplainLocalPort: who asks for the port of a URL that `up` prints is told the Gateway's.
func TestExplainLocalPort(t *testing.T) {
	for asked, want := range map[int32]string{8443: "write --port 443)", 8080: "write --port 80)", 9999: "there are 80, 443"} {
		f := &explainFlags{query: local.Query{Port: asked}}
		if got := f.noListener([]int32{80, 443}); !strings.HasSuffix(got, want) {
			t.Errorf("%d: %s", asked, got)
		}
	}
}
