package drift

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"headgate.dev/agent/plan"
	"headgate.dev/agent/preview"
	"headgate.dev/render/object"
)

func TestStrangers(t *testing.T) {
	gateway := func(name string) object.ID {
		return object.ID{Group: "gateway.networking.k8s.io", Kind: "Gateway", Namespace: "edge", Name: name}
	}
	route := func(name string, labels map[string]string, to ...object.ID) Attached {
		return Attached{object.ID{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: "team-a", Name: name}, labels, to}
	}
	all := []Attached{
		route("z", nil, gateway("theirs"), gateway("ours"), gateway("ours")),
		route("a", map[string]string{plan.LabelSync: "shop"}, gateway("ours")), // a label alone names nobody
		route("synced", map[string]string{plan.LabelSync: "shop", plan.LabelSyncNamespace: "team-a"}, gateway("ours")),
		route("previewed", map[string]string{preview.LabelPreview: "pr-7"}, gateway("ours")),
		route("elsewhere", nil, gateway("theirs")),
		route("refused", nil),
	}
	want := []Stranger{{all[1].Object, gateway("ours")}, {all[0].Object, gateway("ours")}}
	if diff := cmp.Diff(want, Strangers([]object.ID{gateway("ours"), gateway("other")}, all)); diff != "" {
		t.Errorf("wanted (-), got (+):\n%s", diff)
	}
	if got := Strangers(nil, all); got != nil {
		t.Errorf("a Sync without Gateways has %v", got)
	}
}
