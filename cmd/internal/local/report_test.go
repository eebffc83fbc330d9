package local

import (
	"strings"
	"testing"
)

// TestGatewayThatIsNotAccepted: what a Gateway as a whole asks for and cannot have is said, once.
func TestGatewayThatIsNotAccepted(t *testing.T) {
	h := newHolder(t, Options{Detached: true})
	h.must(class, strings.Replace(gateway, "spec:\n", "spec:\n  addresses: [{type: NamedAddress, value: edge}]\n", 1))
	if errs := h.stack.unserved(); len(errs) != 1 || !strings.Contains(errs[0].Error(), "Gateway default/mine: UnsupportedAddress: spec.addresses[0]") {
		t.Errorf("got %v", errs)
	}
}
