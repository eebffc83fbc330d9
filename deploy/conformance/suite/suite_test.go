// Package suite is the conformance suite of Gateway API as upstream ships it, as a test binary. All settings come as flags.
package suite

import (
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
)

func TestConformance(t *testing.T) { conformance.RunConformance(t) }
