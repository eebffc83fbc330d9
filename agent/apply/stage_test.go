package apply

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	kube "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// An API server that does not follow a definition at once: an object that comes with its definition is tried again, any other is not. When
// a real one is slow cannot be chosen, so this one is none.
func TestObjectsAreTriedUntilTheirDefinitionIsFollowed(t *testing.T) {
	for _, c := range []struct {
		name  string
		waits []object.ID
		// early is how often the answer is no.
		early, calls int
		works        bool
	}{
		{"with its definition", []object.ID{{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "widgets.example.com"}}, 2, 3, true},
		{"with its definition, and wrong", []object.ID{{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "widgets.example.com"}}, 99, settling, false},
		{"with its namespace", []object.ID{{Kind: "Namespace", Name: "team-a"}}, 2, 1, false},
		{"alone", nil, 2, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Query().Get("dryRun") != "All" || r.Method != http.MethodPatch {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				if calls <= c.early {
					w.WriteHeader(http.StatusBadRequest)
					io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":400,"reason":"BadRequest","message":"x: .spec.colour: field not declared in schema"}`) //nolint:errcheck // the client is in this process
					return
				}
				io.WriteString(w, `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"shop"}}`) //nolint:errcheck // the client is in this process
			}))
			defer server.Close()
			a, err := New(Config{REST: &rest.Config{Host: server.URL}, Owner: plan.Owner{Namespace: "team-a", Name: "shop"}, Account: "deployer"})
			if err != nil {
				t.Fatal(err)
			}
			j := &job{
				Write:  plan.Write{Object: testObject(t, "example.com/v1", "Widget", nil), Action: plan.Create, Waits: c.waits},
				target: target{resource: kube.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}, kind: "Widget", namespaced: true},
			}
			e := a.newRun(Request{}).try(context.Background(), j)
			if (e == nil) != c.works || calls != c.calls {
				t.Errorf("%d calls, %v", calls, e)
			}
		})
	}
}

func TestWaves(t *testing.T) {
	var ids []object.ID
	for _, kind := range []string{"Service", "Service", "Gateway", "HTTPRoute", "HTTPRoute"} {
		ids = append(ids, object.ID{Kind: kind})
	}
	var got []string
	for _, w := range waves(ids, func(id object.ID) object.ID { return id }) {
		got = append(got, w[0].Kind+strings.Repeat("+", len(w)-1))
	}
	if s := strings.Join(got, " "); s != "Service+ Gateway HTTPRoute+" {
		t.Error(s)
	}
}
