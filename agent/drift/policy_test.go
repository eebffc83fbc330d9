package drift

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

func TestFirstRuleThatFits(t *testing.T) {
	p := Policy{Do: Correct, Rules: []Rule{
		{Target: plan.Selector{Kind: "Thing", Name: "th*g"}, Fields: []string{"/spec/env/*/value"}, Do: Ignore},
		{Managers: []string{"kubectl*", "k9s"}, Do: Alert, Severity: Critical},
		{Fields: []string{"/metadata"}, Do: Ignore, Severity: Info},
	}}
	objects := map[string]*object.Object{}
	for _, o := range parseFile(t, "tree.yaml", propertyTree) {
		objects[o.ID.Kind] = o
	}
	for _, c := range []struct{ kind, pointer, manager, want string }{
		{"Thing", "/spec/env/0/value", "kubectl-edit", "ignore warning"},
		{"Thing", "/spec/env/0/value/deeper", "", "ignore warning"},
		{"Thing", "/spec/env/0", "", "correct warning"},
		{"Thing", "/spec/env/0/values", "", "correct warning"},
		{"Thing", "/spec/env", "k9s", "alert critical"},
		{"ConfigMap", "/spec/env/0/value", "kubectl", "alert critical"},
		{"ConfigMap", "/metadata/labels/a", "", "ignore info"},
		{"ConfigMap", "/metadata", "k9", "ignore info"},
		{"ConfigMap", "", "", "correct warning"},
	} {
		r := &Record{Pointer: c.pointer}
		if c.manager != "" {
			r.By = []By{{Manager: "other"}, {Manager: c.manager}}
		}
		do, severity := p.decide(objects[c.kind], r)
		if got := string(do) + " " + string(severity); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if do, severity := (&Policy{}).decide(objects["Thing"], &Record{}); do != Alert || severity != Warning {
		t.Errorf("nothing is said: %s %s", do, severity)
	}
}

func TestPolicyOfASync(t *testing.T) {
	until := time.Date(2026, 12, 24, 6, 0, 0, 0, time.UTC)
	spec := schema.SyncDrift{
		Policy: schema.DriftCorrect, Severity: schema.SeverityCritical, Pause: &schema.SyncDriftPause{Until: metav1.NewTime(until)},
		Rules: []schema.SyncDriftRule{{
			Target: schema.SyncSelector{Group: "g", Kind: "k", Namespace: "n", Name: "a*", Labels: map[string]string{"l": "v"}},
			Fields: []string{"/spec"}, Managers: []string{"m"}, Policy: schema.DriftIgnore, Severity: schema.SeverityInfo,
		}},
	}
	want := Policy{Do: Correct, Severity: Critical, Pause: until, Rules: []Rule{{
		Target: plan.Selector{Group: "g", Kind: "k", Namespace: "n", Name: "a*", Labels: map[string]string{"l": "v"}},
		Fields: []string{"/spec"}, Managers: []string{"m"}, Do: Ignore, Severity: Info,
	}}}
	if diff := cmp.Diff(want, PolicyOf(&spec)); diff != "" {
		t.Errorf("wanted (-), got (+):\n%s", diff)
	}
	if diff := cmp.Diff(Policy{}, PolicyOf(nil)); diff != "" {
		t.Error(diff)
	}
}

func TestValuesAreCut(t *testing.T) {
	for _, n := range []int{0, 1, MaxValue, MaxValue + 1, 10 * MaxValue} {
		for _, letter := range []string{"a", "ü", "→", "😀"} {
			got := cut(strings.Repeat(letter, n), MaxValue)
			if len(got) > MaxValue || strings.ToValidUTF8(got, "") != got || len(letter)*n <= MaxValue && strings.HasSuffix(got, "…") {
				t.Errorf("%d %s: %d bytes: %s", n, letter, len(got), got)
			}
		}
	}
}

// TestHide holds that nothing of a Secret is left, and that equal values stay equal.
func TestHide(t *testing.T) {
	content := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]any{"name": "db", "annotations": map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "quiet", plan.AnnotationApplied: "00ff"}},
		"data":     map[string]any{"a": "quiet", "b": "quiet", "c": "other"}, "stringData": "quiet",
	}
	out := Hide(content, testKey)
	text := string(object.AppendJSON(nil, out))
	data := out["data"].(map[string]any)
	if strings.Contains(text, "quiet") || !strings.Contains(text, "00ff") || data["a"] != data["b"] || data["a"] == data["c"] {
		t.Error(text)
	}
	if other := Hide(content, []byte("another key")); other["data"].(map[string]any)["a"] == data["a"] {
		t.Error("the key does not matter")
	}
	if content["data"].(map[string]any)["a"] != "quiet" {
		t.Error("the object was written to")
	}
	plain := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"a": "b"}}
	if got := string(object.AppendJSON(nil, Hide(plain, testKey))); !strings.Contains(got, `"a":"b"`) {
		t.Error(got)
	}
}
