package controller

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func TestNotProgrammed(t *testing.T) {
	for _, c := range []struct {
		name, problem string
		missing       []string
		addressed     bool
		ready         int32
		want          gwv1.GatewayConditionReason
	}{
		{name: "all is well", addressed: true, ready: 1},
		{name: "no proxy", addressed: true, want: gwv1.GatewayReasonPending},
		{name: "no address", ready: 1, want: gwv1.GatewayReasonAddressNotAssigned},
		{name: "an address nobody gives", missing: []string{"192.0.2.1"}, addressed: true, ready: 1, want: gwv1.GatewayReasonAddressNotUsable},
		{name: "objects that cannot be made", problem: "quota", addressed: true, ready: 1, want: gwv1.GatewayReasonNoResources},
	} {
		got := notProgrammed(c.problem, c.missing, c.addressed, c.ready)
		switch {
		case got == nil && c.want != "":
			t.Errorf("%s: nothing, want %s", c.name, c.want)
		case got != nil && (got.Reason != string(c.want) || got.Status != metav1.ConditionFalse):
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
	}
}

func TestAssigned(t *testing.T) {
	for _, c := range []struct {
		wanted  int
		missing []string
		want    gwv1.GatewayConditionReason
	}{
		{2, nil, gwv1.GatewayReasonAddressesAssigned},
		{2, []string{"a"}, gwv1.GatewayReasonAddressesPartiallyAssigned},
		{2, []string{"a", "b"}, gwv1.GatewayReasonAddressesNotAssigned},
	} {
		if got := assigned(c.wanted, c.missing); got.Reason != string(c.want) || (got.Status == metav1.ConditionTrue) != (len(c.missing) == 0) {
			t.Errorf("%d wanted, missing %v: %+v, want %s", c.wanted, c.missing, got, c.want)
		}
	}
}
