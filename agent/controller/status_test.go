package controller

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/schema"
)

func TestStatusPatch(t *testing.T) {
	before := schema.SyncStatus{ObservedGeneration: 1, Revision: "main@sha1:1", AttemptedRevision: "main@sha1:1",
		Live:       &schema.SyncLiveStatus{Revision: "main@sha1:1", Took: "1s"},
		Conditions: []metav1.Condition{{Type: "Ready", Status: "True"}}}
	after := *before.DeepCopy()
	after.AttemptedRevision = "main@sha1:2"
	after.Live.Took = "2s"
	after.Revision = ""
	got, err := statusPatch(&before, &after)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"status":{"attemptedRevision":"main@sha1:2","live":{"took":"2s"},"revision":null}}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
