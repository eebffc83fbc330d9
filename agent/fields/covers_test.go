package fields

import "testing"

// TestAppliedAll asks of the recordings whether all that was applied is the manager's, before somebody edited it and after.
func TestAppliedAll(t *testing.T) {
	for name, wanted := range map[string]string{
		"route-edited": `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"cart","namespace":"plan-fields","labels":{"app":"cart"}},
			"spec":{"hostnames":["cart.example.com"],"rules":[{"name":"api"}]}}`,
		"deploy-env":    `{"spec":{"template":{"spec":{"containers":[{"name":"http","env":[{"name":"A","value":"a"},{"name":"B","value":"b"}]}]}}}}`,
		"deploy-scaled": `{"spec":{"replicas":2}}`,
	} {
		applied, live := recorded(t, name)
		for _, c := range []struct {
			content map[string]any
			want    bool
		}{{applied, true}, {live, false}} {
			m, err := Read(c.content)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.AppliedAll(us, decodeObject(t, []byte(wanted))); got != c.want {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
	}
	applied, _ := recorded(t, "route-edited")
	m, err := Read(applied)
	if err != nil {
		t.Fatal(err)
	}
	for wanted, want := range map[string]bool{
		`{"metadata":{"labels":{"app":"x"}}}`: true, `{"metadata":{"labels":{"other":"x"}}}`: false, `{"spec":{"other":1}}`: false, `{}`: true,
		`{"metadata":{"name":"x"},"kind":"y","spec":{"rules":null}}`: true, `{"spec":{"name":"x"}}`: false,
	} {
		if got := m.AppliedAll(us, decodeObject(t, []byte(wanted))); got != want {
			t.Errorf("%s: %v, want %v", wanted, got, want)
		}
	}
	if !m.Applied(us, "spec", "rules") || !m.Applied(us, "spec", "rules", "inside") || m.Applied(us, "spec", "other") || m.Applied("other", "spec", "rules") {
		t.Error("whose spec.rules is")
	}
}
