package apply

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/fields"
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

func TestConflictsWithHandsAreNone(t *testing.T) {
	conflict := func(manager string) fields.Conflict {
		return fields.Conflict{Path: "spec.replicas", Manager: fields.Manager{Name: manager}}
	}
	left := ofControllers([]fields.Conflict{conflict("kubectl-edit"), conflict("keda"), conflict("helm"), conflict("kubectl-rollout")})
	var names []string
	for _, c := range left {
		names = append(names, c.Manager.Name)
	}
	if !slices.Equal(names, []string{"keda", "kubectl-rollout"}) {
		t.Errorf("%v", names)
	}
}
