package apply

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/fields"
	"headgate.dev/agent/plan"
)

func entry(manager string, operation metav1.ManagedFieldsOperationType, version, subresource, set string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation, APIVersion: version, Subresource: subresource, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(set),
	}
}

func TestTakeOver(t *testing.T) {
	const apply, update = metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate
	for _, c := range []struct {
		name  string
		in    []metav1.ManagedFieldsEntry
		taken string
		want  string
	}{
		{"nobody", nil, "", ""},
		{"controllers stay", []metav1.ManagedFieldsEntry{entry("flagger", update, "v1", "", `{"f:a":{}}`)}, "", "flagger"},
		{"hands come together",
			[]metav1.ManagedFieldsEntry{
				entry("kubectl-client-side-apply", update, "v1", "", `{"f:spec":{"f:a":{}}}`),
				entry("kubectl", apply, "v1", "", `{"f:spec":{"f:b":{}}}`),
				entry("helm", update, "v1", "", `{"f:spec":{"f:c":{}}}`),
				entry("kube-controller-manager", update, "v1", "status", `{"f:status":{}}`),
			},
			"helm kubectl kubectl-client-side-apply", `kube-controller-manager headgate{"f:spec":{"f:a":{},"f:b":{},"f:c":{}}}`},
		{"what is headgate's stays its own",
			[]metav1.ManagedFieldsEntry{entry("headgate", apply, "v1", "", `{"f:a":{}}`), entry("kubectl-edit", update, "v1", "", `{"f:b":{}}`)},
			"kubectl-edit", `headgate{"f:a":{},"f:b":{}}`},
		{"other versions are let go", []metav1.ManagedFieldsEntry{entry("helm", update, "v1beta1", "", `{"f:a":{}}`)}, "helm", "headgate{}"},
		{"subresources and restarts are left",
			[]metav1.ManagedFieldsEntry{entry("kubectl", update, "v1", "scale", `{"f:a":{}}`), entry("kubectl-rollout", update, "v1", "", `{"f:b":{}}`)},
			"", "kubectl kubectl-rollout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, taken, err := takeOver(c.in, "v1")
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(taken, " "); got != c.taken {
				t.Errorf("taken: %s", got)
			}
			if len(taken) == 0 { // nothing is written then
				return
			}
			var got []string
			for _, e := range out {
				name := e.Manager
				if name == Manager {
					name += string(e.FieldsV1.GetRawBytes())
				}
				got = append(got, name)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%s", s)
			}
		})
	}
	if _, _, err := takeOver([]metav1.ManagedFieldsEntry{entry("helm", update, "v1", "", `{"x":`)}, "v1"); err == nil {
		t.Error("fields that are not readable are taken over")
	}
}

func TestConflictsThatStand(t *testing.T) {
	conflict := func(manager, pointer string) fields.Conflict {
		return fields.Conflict{Path: pointer, Pointer: pointer, Manager: fields.Manager{Name: manager}}
	}
	all := []fields.Conflict{
		conflict("kubectl-edit", "/spec/a"), conflict("keda", "/spec/b"), conflict("helm", "/spec/c"), conflict("kubectl-rollout", "/spec/d"),
		conflict("flagger", "/spec/rules"), conflict("flagger", "/spec/parentRefs"), conflict("flagger", "/spec/hostnames"),
	}
	r := testRun(t)
	r.request.Ignore = []plan.Rule{
		{Target: plan.Selector{Kind: "HTTPRoute"}, Weights: true, Fields: []string{"/spec/hostnames/0"}},
		{Target: plan.Selector{Kind: "GRPCRoute"}, Fields: []string{"/spec/parentRefs/0/name"}},
	}
	j := &job{Write: plan.Write{Object: testObject(t, "gateway.networking.k8s.io/v1", "HTTPRoute", nil)}, locked: true}
	names := func(conflicts []fields.Conflict) string {
		var out []string
		for _, c := range conflicts {
			out = append(out, c.Manager.Name+c.Pointer)
		}
		return strings.Join(out, " ")
	}
	if got := names(r.standing(j, all)); got != "keda/spec/b kubectl-rollout/spec/d flagger/spec/parentRefs" {
		t.Error(got)
	}
	j.locked = false
	if got := names(r.standing(j, all[4:5])); got != "flagger/spec/rules" {
		t.Errorf("an object that was not read: %q", got)
	}
}
