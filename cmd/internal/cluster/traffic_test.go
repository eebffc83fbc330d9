package cluster

import (
	"bytes"
	"strings"
	"testing"

	"headgate.dev/agent/apply"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/render/object"
)

func parsed(t *testing.T, content map[string]any) *object.Object {
	t.Helper()
	o, err := object.New(content, object.Origin{File: "route.yaml", Line: 1, Column: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func routeTo(path string) map[string]any {
	return map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": map[string]any{"name": "r", "namespace": "team", "resourceVersion": "7", "generation": int64(3)},
		"spec": map[string]any{
			"parentRefs": []any{map[string]any{"name": "g"}}, "hostnames": []any{"shop.test"},
			"rules": []any{map[string]any{
				"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": path}}},
				"backendRefs": []any{map[string]any{"name": "cart", "port": int64(80)}},
			}},
		},
	}
}

// TestTraffic: what a trial would change is told as requests; what the API server refuses changes nothing.
func TestTraffic(t *testing.T) {
	gateway := parsed(t, map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": map[string]any{"name": "g", "namespace": "team"},
		"spec": map[string]any{"gatewayClassName": "mine", "listeners": []any{map[string]any{"name": "http", "port": int64(80), "protocol": "HTTP"}}},
	})
	wanted := parsed(t, routeTo("/basket"))
	for _, test := range []struct {
		name  string
		trial *apply.Trial
		want  string
	}{
		{"a change", &apply.Trial{Object: wanted, Live: routeTo("/cart"), Would: routeTo("/basket")}, "+ shop.test /basket – → cart:80 route.yaml:1:1 - shop.test /cart cart:80 → – route.yaml:1:1"},
		{"a new route", &apply.Trial{Object: wanted, Would: routeTo("/basket")}, "+ shop.test /basket – → cart:80 route.yaml:1:1"},
		{"no change", nil, ""},
		{"a refusal", &apply.Trial{Object: wanted, Live: routeTo("/cart"), Err: &apply.Error{}}, ""},
	} {
		s := sides{seen: map[object.ID]bool{{Kind: "Namespace", Name: "team"}: true}}
		for o, trial := range map[*object.Object]*apply.Trial{gateway: nil, wanted: test.trial} {
			if err := s.put(o, trial); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.surround(t.Context()); err != nil {
			t.Fatal(err)
		}
		traffic, err := compareTraffic(t.Context(), s.before, s.after)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		traffic.Text(&out, term.Style{})
		got := strings.TrimPrefix(strings.Join(strings.Fields(out.String()), " "), "traffic ")
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
